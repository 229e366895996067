"""Find single values of a command line and its recipe, even if the rest of both is wrong.

Click can do this only for a command line without errors. What is wrong is reported when the command is parsed.
"""

import tomllib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """Find the value of an option; the last one counts, as in click."""
    found = None
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument == option:
            found = following
        elif argument.startswith(f"{option}="):
            found = argument.removeprefix(f"{option}=")
    return found


def value_in_recipe(key: str, arguments: Sequence[str]) -> Any:
    """Find the value of a key in the recipe that a command line names; None where there is none."""
    path = value_of("--recipe", arguments)
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8")).get(key) if path else None
    except (OSError, ValueError):
        return None
