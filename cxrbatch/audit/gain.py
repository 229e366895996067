"""Compare the order of the list with the order of arrival and with random order: episodes in, estimates out.

The list ranks the patients of one night, so only patients whose waits began on the same night are compared. A night
is weighted by its PCR-positive patients. Patients with equal scores, or who arrived at the same moment, are ties:
every figure is the mean over all orders of the ties.
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
    """Ranked patients of one night with a result.

    Attributes
    ----------
    positive : ndarray of bool, shape (n,)
        True where PCR-positive.
    patient : ndarray of int, shape (n,)
        Number of the patient in the whole audit.
    orders : mapping of str to ndarray of float, shape (n,)
        For each of `ORDERS`, numbers that fall from the first patient to the last.
    """

    positive: Bools
    patient: NDArray[np.int64]
    orders: Mapping[str, Floats]

    def reached(self, order: str, at: Floats) -> Floats:
        """Compute the chance of each positive patient to be among the first share `at` of the night.

        Ties are in random order.

        Parameters
        ----------
        order : str
            One of `ORDERS`.
        at : ndarray of float64, shape (k,)
            Shares of the night that are tested, 0–1.

        Returns
        -------
        ndarray of float64, shape (n_positive, k)
            Chances, 0–1.
        """
        value = self.orders[order]
        own = value[self.positive][:, None]
        before, tied = ((value > own).sum(axis=1), (value == own).sum(axis=1))
        return np.clip((at * value.size - before[:, None]) / tied[:, None], 0, 1)


def gain(episodes: Sequence[Episode]) -> Iterator[AuditEstimate]:
    """Compute for each order the share of the PCR-positive found by testing a share of the night, and the gain.

    ``found_list_20`` is the share of the PCR-positive patients among the first 20 % of their night, in the order of
    the list; only ranked patients with a result count. ``gain_list`` is 1 for a perfect order, 0 for random order,
    and below 0 for a worse one. It is the area between the gain curve and the diagonal, as a share of that of a
    perfect order. Within a night it is 2 · AUROC − 1; nights are weighted by n₊ n₋ / n.
    ``gain_list_minus_arrival`` is the difference of the gains.
    """
    nights, n_patients = _nights(episodes)
    n = sum(night.positive.size for night in nights)
    figures = _measured(nights, n_patients) if _enough(nights) else {}
    for name in _names():
        yield estimated(SECTION, name, figures.get(name, no_figure()), n)


def gain_curves(episodes: Sequence[Episode]) -> dict[str, Curve]:
    """Compute the gain curve of each order, for a plot; empty if there are too few results.

    Each curve is a tuple of points (share tested, share of the PCR-positive found), both 0–1.
    """
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
    """Check whether there are enough results; only nights with both results have an order to measure."""
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
    """Draw bootstrap samples: how often each of `n` patients is drawn, in blocks of shape (≤ _CHUNK, n)."""
    rng = np.random.default_rng(0)
    for start in range(0, BOOTSTRAPS, _CHUNK):
        n_rows = min(_CHUNK, BOOTSTRAPS - start)
        yield rng.multinomial(n, np.full(n, 1 / n), n_rows).astype(np.float64)


def _estimate(value: float, drawn: Floats) -> Estimate:
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))


def _figures(nights: Sequence[_Night], counts: Floats) -> dict[str, Floats]:
    """Compute every figure for each weighting of the patients, counts of shape (b, n_patients); shape (b,) each."""
    figures: dict[str, Floats] = {}
    for order in ORDERS:
        found = _found(nights, order, counts, np.array(SHARES_TESTED))
        figures |= {_found_name(order, share): found[:, i] for i, share in enumerate(SHARES_TESTED)}
        figures[f"gain_{order}"] = _gain(nights, order, counts)
    return figures | {"gain_list_minus_arrival": figures["gain_list"] - figures["gain_arrival"]}


def _found(nights: Sequence[_Night], order: str, counts: Floats, at: Floats) -> Floats:
    """Compute the share of the positives found at each share tested; shape (b, shares).

    Places stay as they were on the list.
    """
    reached = np.concatenate([night.reached(order, at) for night in nights])
    weights = np.concatenate([counts[:, night.patient[night.positive]] for night in nights], axis=1)
    return _divided(weights @ reached, weights.sum(axis=1, keepdims=True))


def _gain(nights: Sequence[_Night], order: str, counts: Floats) -> Floats:
    """Compute the mean of 2 · AUROC − 1 over nights, weighted by n₊ n₋ / n; shape (b,)."""
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
    """Compute PPV and sensitivity of the first `k` ranked patients on the first night of each wait.

    Figures are given for each week and overall. ``ppv`` is the share of PCR-positive waits among the waits with a
    result that stood among the first `k`. ``sensitivity`` is the share of the PCR-positive waits that stood among the
    first `k`; waits that were not scored did not. ``prevalence`` is the share of PCR-positive waits among all waits
    with a result, which is the PPV of a list in random order.
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
    """Compute the share of the waits with a result, by week; with `k`, also for the first `k` and for the others."""
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
    """Check whether the patient stood among the first `k` ranked patients on the first night."""
    return episode.is_ranked and episode.position <= k


def by_week(episodes: Iterable[Episode]) -> Iterator[tuple[str, list[Episode]]]:
    """Group the waits by week of the first night: first all waits as `ALL`, then each week, rising."""
    weeks: dict[str, list[Episode]] = {ALL: []}
    for episode in sorted(episodes, key=lambda episode: episode.first_night):
        weeks[ALL].append(episode)
        weeks.setdefault(episode.week, []).append(episode)
    yield from weeks.items()


def _positive(episode: Episode) -> bool:
    return episode.is_positive is True


def _has_result(episode: Episode) -> bool:
    return episode.is_positive is not None
