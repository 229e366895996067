"""What the order of the list was worth against the order of arrival and against none.

The list ranks the patients of one night, so only patients whose waits began on the same night are compared. A night
counts by its PCR-positive patients. Equal scores, and patients who arrived at the same moment, are never put in an
order: every figure is what it would be on average over all orders of the ties.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.audit.episodes import Episode
from cxrbatch.audit.estimate import (
    ALL,
    BOOTSTRAPS,
    FEWEST,
    AuditEstimate,
    compared,
    counted,
    estimated,
    no_figure,
    share,
)
from cxrbatch.records import PatientKey
from cxrbatch.stats import SHARES_TESTED, Bools, Estimate, Floats, rank

SECTION = "gain"
ORDERS = ("list", "arrival")
_GRID: Floats = np.linspace(0, 1, 51)
_CHUNK = 100  # resamples at a time

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Night:
    """Ranked patients of one night with a result; an order is given by numbers that fall from first to last.

    Attributes
    ----------
    positive : ndarray of bool, shape (n,)
    patient : ndarray of int, shape (n,)
        Number of the patient in the whole audit.
    orders : mapping of str to ndarray of float, shape (n,)
        By `ORDERS`.
    """

    positive: Bools
    patient: NDArray[np.int64]
    orders: Mapping[str, Floats]

    def reached(self, order: str, at: Floats) -> Floats:
        """Chance of each positive to be among the first `at` of the night, ties in random order; (positives, at)."""
        value = self.orders[order]
        own = value[self.positive][:, None]
        before, tied = ((value > own).sum(axis=1), (value == own).sum(axis=1))
        return np.clip((at * value.size - before[:, None]) / tied[:, None], 0, 1)


def gain(episodes: Sequence[Episode]) -> Iterator[AuditEstimate]:
    """Share of the PCR-positive found by testing a share of the night, and the gain, for each order.

    ``found_list_20``: share of the PCR-positive among the first 20 % of the ranked patients of their night who have a
    result, in the order of the list. ``gain_list``: 1 for a perfect order, 0 for random order, below 0 for worse:
    the area between the gain curve and the diagonal as a share of that of a perfect order, which within a night is
    2 · AUROC − 1 and is weighted by n₊ n₋ / n. ``gain_list_minus_arrival``: their difference.
    """
    nights, n_patients = _nights(episodes)
    n = sum(night.positive.size for night in nights)
    figures = _measured(nights, n_patients) if _enough(nights) else {}
    for name in _names():
        yield estimated(SECTION, name, figures.get(name, no_figure()), n)


def gain_curves(episodes: Sequence[Episode]) -> dict[str, Curve]:
    """The curve of each order, for a plot; nothing where there are too few."""
    nights, n_patients = _nights(episodes)
    if not _enough(nights):
        return {}
    once = np.ones((1, n_patients))
    return {order: _points(_found(nights, order, once, _GRID)[0]) for order in ORDERS}


def _points(found: Floats) -> Curve:
    return tuple(zip(_GRID.tolist(), found.tolist(), strict=True))


def _nights(episodes: Sequence[Episode]) -> tuple[list[_Night], int]:
    usable = [episode for episode in episodes if episode.is_ranked and episode.is_positive is not None]
    number = {key: index for index, key in enumerate(sorted({episode.patient_key for episode in usable}))}
    by_night: defaultdict[object, list[Episode]] = defaultdict(list)
    for episode in usable:
        by_night[episode.first_night].append(episode)
    return [_night(chosen, number) for chosen in by_night.values()], len(number)


def _night(episodes: list[Episode], number: Mapping[PatientKey, int]) -> _Night:
    earliest = min(episode.arrived for episode in episodes)
    return _Night(
        positive=np.array([episode.is_positive is True for episode in episodes]),
        patient=np.array([number[episode.patient_key] for episode in episodes]),
        orders={
            "list": np.array([episode.score for episode in episodes], np.float64),
            "arrival": np.array([-(episode.arrived - earliest).total_seconds() for episode in episodes]),
        },
    )


def _enough(nights: Sequence[_Night]) -> bool:
    """Only nights with both have an order that could be right or wrong."""
    both = [night.positive for night in nights if 0 < night.positive.sum() < night.positive.size]
    n_positive = sum(int(positive.sum()) for positive in both)
    return min(n_positive, sum(positive.size for positive in both) - n_positive) >= FEWEST


def _names() -> list[str]:
    each = [[*(_found_name(order, share) for share in SHARES_TESTED), f"gain_{order}"] for order in ORDERS]
    return [*each[0], *each[1], "gain_list_minus_arrival"]


def _found_name(order: str, share: float) -> str:
    return f"found_{order}_{share * 100:.0f}"


def _measured(nights: Sequence[_Night], n_patients: int) -> dict[str, Estimate]:
    drawn = [_figures(nights, counts) for counts in _resamples(n_patients)]
    whole = _figures(nights, np.ones((1, n_patients)))
    return {
        name: _estimate(float(value[0]), np.concatenate([part[name] for part in drawn]))
        for name, value in whole.items()
    }


def _resamples(n: int) -> Iterator[Floats]:
    """How often each of `n` patients is drawn; shape (≤ _CHUNK, n)."""
    rng = np.random.default_rng(0)
    for start in range(0, BOOTSTRAPS, _CHUNK):
        n_rows = min(_CHUNK, BOOTSTRAPS - start)
        yield rng.multinomial(n, np.full(n, 1 / n), n_rows).astype(np.float64)


def _estimate(value: float, drawn: Floats) -> Estimate:
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))


def _figures(nights: Sequence[_Night], counts: Floats) -> dict[str, Floats]:
    """Every figure for each weighting of the patients; shape (b,) each."""
    figures: dict[str, Floats] = {}
    for order in ORDERS:
        found = _found(nights, order, counts, np.array(SHARES_TESTED))
        figures |= {_found_name(order, share): found[:, i] for i, share in enumerate(SHARES_TESTED)}
        figures[f"gain_{order}"] = _gain(nights, order, counts)
    return figures | {"gain_list_minus_arrival": figures["gain_list"] - figures["gain_arrival"]}


def _found(nights: Sequence[_Night], order: str, counts: Floats, at: Floats) -> Floats:
    """Share of the positives found at each share tested; shape (b, shares). Places stay as they were on the list."""
    reached = np.concatenate([night.reached(order, at) for night in nights])
    weights = np.concatenate([counts[:, night.patient[night.positive]] for night in nights], axis=1)
    return _divided(weights @ reached, weights.sum(axis=1, keepdims=True))


def _gain(nights: Sequence[_Night], order: str, counts: Floats) -> Floats:
    """Mean of 2 · AUROC − 1 over nights, weighted by n₊ n₋ / n; shape (b,)."""
    total = weights = np.zeros(len(counts))
    for night in nights:
        ranking = rank(night.positive, night.orders[order], counts[:, night.patient])
        positive, negative = ranking.positives[:, -1], ranking.negatives[:, -1]
        weight = positive * negative / np.maximum(positive + negative, 1)
        weights = weights + weight
        total = total + weight * np.nan_to_num(2 * ranking.auroc() - 1)
    return _divided(total, weights)


def _divided(total: Floats, weights: Floats) -> Floats:
    return np.divide(total, weights, out=np.full(total.shape, np.nan), where=weights > 0)


AT_K = "at_k"

VERIFICATION = "verification"


def at_k(episodes: Sequence[Episode], k: int) -> Iterator[AuditEstimate]:
    """PPV and sensitivity of the first `k` ranked patients of the first night of each wait, by its week and overall.

    ``ppv``: share PCR-positive of the waits with a result that stood among the first `k`. ``sensitivity``: share that
    stood among the first `k` of the PCR-positive waits; those that were not scored did not. ``prevalence``: share
    PCR-positive of all waits with a result, which is the PPV of a list in random order.
    """
    for week, chosen in by_week(episodes):
        tested = [episode for episode in chosen if episode.is_positive is not None]
        yield counted(AT_K, "n_waits", len(chosen), week)
        yield counted(AT_K, "n_with_result", len(tested), week)
        yield counted(AT_K, "n_positive", sum(map(_positive, tested)), week)
        yield share(AT_K, "ppv", (_positive(episode) for episode in tested if is_first(episode, k)), week)
        yield share(
            AT_K, "sensitivity", (is_first(episode, k) for episode in tested if episode.is_positive), week
        )
        yield share(AT_K, "prevalence", map(_positive, tested), week)


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
