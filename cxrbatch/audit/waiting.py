"""How long patients waited, in nights: from the first image to the swab, or to the last list if there was none.

Who still waits has not waited to the end: those figures are too small, and stand by themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from cxrbatch.audit.episodes import Episode
from cxrbatch.audit.estimate import FEWEST, AuditEstimate, counted

SECTION = "waiting"

GROUPS: Mapping[str, Callable[[Episode], bool]] = {
    "all": lambda _: True,
    "pcr_positive": lambda episode: episode.is_positive is True,
    "pcr_negative": lambda episode: episode.is_positive is False,
    "left_without_result": lambda episode: episode.is_positive is None and not episode.is_open,
    "still_waiting": lambda episode: episode.is_positive is None and episode.is_open,
    "not_scored": lambda episode: not episode.is_ranked,
}
FIGURES: Mapping[str, Callable[[Sequence[int]], float]] = {
    "mean": lambda nights: float(np.mean(nights)),
    "p95": lambda nights: float(np.percentile(nights, 95, method="inverted_cdf")),
    "max": lambda nights: float(max(nights)),
}


def waiting(episodes: Sequence[Episode]) -> Iterator[AuditEstimate]:
    """Mean, 95th percentile and maximum of each group, and how many waits reached ``max_wait``."""
    for group, belongs in GROUPS.items():
        nights = [episode.nights for episode in episodes if belongs(episode)]
        yield counted(SECTION, f"n_{group}", len(nights))
        for name, figure in FIGURES.items():
            value = figure(nights) if len(nights) >= FEWEST else None
            yield AuditEstimate(section=SECTION, name=f"{name}_{group}", n=len(nights), value=value)
    yield counted(SECTION, "n_max_wait", sum(episode.reached_max_wait for episode in episodes))
