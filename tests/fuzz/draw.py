"""Drawing from a random generator, and what draws from one."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Mutation = Callable[[bytes, np.random.Generator], bytes]
"""Takes a file apart and gives back a damaged one; the same generator gives the same bytes."""


def one_of(choices: Sequence[T], random: np.random.Generator) -> T:
    """Any of them."""
    return choices[int(random.integers(len(choices)))]


def place(n: int, random: np.random.Generator) -> int:
    """An index below `n`, or 0."""
    return int(random.integers(max(n, 1)))


def below(n: int, random: np.random.Generator) -> int:
    """A whole number below `n` of any order of magnitude."""
    return int(n ** random.random()) - 1
