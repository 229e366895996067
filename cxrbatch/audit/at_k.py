"""The first K of the list, by week; and who got a result at all."""

from collections.abc import Iterable, Iterator, Sequence

from cxrbatch.audit.episodes import Wait
from cxrbatch.audit.estimate import ALL, Quantity, compared, counted, share

SECTION = "at_k"
VERIFICATION = "verification"


def at_k(waits: Sequence[Wait], k: int) -> Iterator[Quantity]:
    """PPV and sensitivity of the first `k` ranked patients of the first night of each wait, by its week and overall.

    ``ppv``: share PCR-positive of the waits with a result that stood among the first `k`. ``sensitivity``: share that
    stood among the first `k` of the PCR-positive waits; those that were not scored did not. ``prevalence``: share
    PCR-positive of all waits with a result, which is the PPV of a list in random order.
    """
    for week, chosen in by_week(waits):
        tested = [wait for wait in chosen if wait.is_positive is not None]
        yield counted(SECTION, "n_waits", len(chosen), week)
        yield counted(SECTION, "n_with_result", len(tested), week)
        yield counted(SECTION, "n_positive", sum(map(_positive, tested)), week)
        yield share(SECTION, "ppv", (_positive(wait) for wait in tested if is_first(wait, k)), week)
        yield share(SECTION, "sensitivity", (is_first(wait, k) for wait in tested if wait.is_positive), week)
        yield share(SECTION, "prevalence", map(_positive, tested), week)


def verification(waits: Sequence[Wait], k: int | None) -> Iterator[Quantity]:
    """Share of the waits with a result, by week; with `k`, among the first `k` and among the others."""
    for week, chosen in by_week(waits):
        yield share(VERIFICATION, "with_result", map(_has_result, chosen), week)
        if k is not None:
            first = [_has_result(wait) for wait in chosen if is_first(wait, k)]
            others = [_has_result(wait) for wait in chosen if not is_first(wait, k)]
            parts = (
                share(VERIFICATION, "with_result_first_k", first, week),
                share(VERIFICATION, "with_result_others", others, week),
            )
            yield from parts
            yield compared(VERIFICATION, "first_k_minus_others", *parts)


def is_first(wait: Wait, k: int) -> bool:
    """Whether the patient stood among the first `k` of the ranked ones on the first night."""
    return wait.is_ranked and wait.position <= k


def by_week(waits: Iterable[Wait]) -> Iterator[tuple[str, list[Wait]]]:
    """All of them, then those of each week."""
    weeks: dict[str, list[Wait]] = {ALL: []}
    for wait in sorted(waits, key=lambda wait: wait.first_night):
        weeks[ALL].append(wait)
        weeks.setdefault(wait.week, []).append(wait)
    yield from weeks.items()


def _positive(wait: Wait) -> bool:
    return wait.is_positive is True


def _has_result(wait: Wait) -> bool:
    return wait.is_positive is not None
