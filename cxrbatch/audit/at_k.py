"""The first K of the list, by week; and who got a result at all."""

from collections.abc import Iterable, Iterator, Sequence

from cxrbatch.audit.episodes import Episode
from cxrbatch.audit.estimate import ALL, AuditEstimate, compared, counted, share

SECTION = "at_k"
VERIFICATION = "verification"


def at_k(episodes: Sequence[Episode], k: int) -> Iterator[AuditEstimate]:
    """PPV and sensitivity of the first `k` ranked patients of the first night of each wait, by its week and overall.

    ``ppv``: share PCR-positive of the waits with a result that stood among the first `k`. ``sensitivity``: share that
    stood among the first `k` of the PCR-positive waits; those that were not scored did not. ``prevalence``: share
    PCR-positive of all waits with a result, which is the PPV of a list in random order.
    """
    for week, chosen in by_week(episodes):
        tested = [episode for episode in chosen if episode.is_positive is not None]
        yield counted(SECTION, "n_waits", len(chosen), week)
        yield counted(SECTION, "n_with_result", len(tested), week)
        yield counted(SECTION, "n_positive", sum(map(_positive, tested)), week)
        yield share(SECTION, "ppv", (_positive(episode) for episode in tested if is_first(episode, k)), week)
        yield share(
            SECTION, "sensitivity", (is_first(episode, k) for episode in tested if episode.is_positive), week
        )
        yield share(SECTION, "prevalence", map(_positive, tested), week)


def verification(episodes: Sequence[Episode], k: int | None) -> Iterator[AuditEstimate]:
    """Share of the waits with a result, by week; with `k`, among the first `k` and among the others."""
    for week, chosen in by_week(episodes):
        yield share(VERIFICATION, "with_result", map(_has_result, chosen), week)
        if k is not None:
            first = [_has_result(episode) for episode in chosen if is_first(episode, k)]
            others = [_has_result(episode) for episode in chosen if not is_first(episode, k)]
            parts = (
                share(VERIFICATION, "with_result_first_k", first, week),
                share(VERIFICATION, "with_result_others", others, week),
            )
            yield from parts
            yield compared(VERIFICATION, "first_k_minus_others", *parts)


def is_first(episode: Episode, k: int) -> bool:
    """Whether the patient stood among the first `k` of the ranked ones on the first night."""
    return episode.is_ranked and episode.position <= k


def by_week(episodes: Iterable[Episode]) -> Iterator[tuple[str, list[Episode]]]:
    """All of them, then those of each week."""
    weeks: dict[str, list[Episode]] = {ALL: []}
    for episode in sorted(episodes, key=lambda episode: episode.first_night):
        weeks[ALL].append(episode)
        weeks.setdefault(episode.week, []).append(episode)
    yield from weeks.items()


def _positive(episode: Episode) -> bool:
    return episode.is_positive is True


def _has_result(episode: Episode) -> bool:
    return episode.is_positive is not None
