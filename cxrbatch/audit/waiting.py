"""How long patients waited, in nights: from the first image to the swab, or to the last list if there was none.

Who still waits has not waited to the end: those figures are too small, and stand by themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from cxrbatch.audit.episodes import Wait
from cxrbatch.audit.estimate import FEWEST, Quantity, counted

SECTION = "waiting"

GROUPS: Mapping[str, Callable[[Wait], bool]] = {
    "all": lambda _: True,
    "pcr_positive": lambda wait: wait.is_positive is True,
    "pcr_negative": lambda wait: wait.is_positive is False,
    "left_without_result": lambda wait: wait.is_positive is None and not wait.is_open,
    "still_waiting": lambda wait: wait.is_positive is None and wait.is_open,
    "not_scored": lambda wait: not wait.is_ranked,
}
FIGURES: Mapping[str, Callable[[Sequence[int]], float]] = {
    "mean": lambda nights: float(np.mean(nights)),
    "p95": lambda nights: float(np.percentile(nights, 95, method="inverted_cdf")),
    "max": lambda nights: float(max(nights)),
}


def waiting(waits: Sequence[Wait]) -> Iterator[Quantity]:
    """Mean, 95th percentile and maximum of each group, and how many waits reached ``max_wait``."""
    for group, belongs in GROUPS.items():
        nights = [wait.nights for wait in waits if belongs(wait)]
        yield counted(SECTION, f"n_{group}", len(nights))
        for name, figure in FIGURES.items():
            value = figure(nights) if len(nights) >= FEWEST else None
            yield Quantity(section=SECTION, name=f"{name}_{group}", n=len(nights), value=value)
    yield counted(SECTION, "n_max_wait", sum(wait.reached_max_wait for wait in waits))
