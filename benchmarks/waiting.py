"""How many nights patients wait for their swab, by the order of the list: a simulation.

``python benchmarks/waiting.py [--load 0.8 1.05] [--seeds N]`` lets suspects come in every night (Poisson), swabs as
many of them on the next day as there are swabs (Poisson too), first of the list first, and takes off the list who was
swabbed or has waited for `--expire` nights. Nights and patients are the same for all orders. It begins with an empty
list and prints, for those who are PCR-positive and for the others: nights until the swab (mean, 95th percentile,
maximum; who was never swabbed counts with `--expire` nights) and the share that was never swabbed. Each figure is the
mean over the seeds, with its standard error.

In the manner of Baltruschat et al. 2021 (European Radiology 31:3837), with nights and swabs in place of minutes and
radiologists. The order is that of `cxrbatch.triage.aggregate.rank`.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, load_bundle
from cxrbatch.reasons import Flag
from cxrbatch.records import PatientKey, PatientTriage
from cxrbatch.triage.aggregate import rank
from cxrbatch.triage.capacity import ListCurve

Floats = NDArray[np.float64]
Inverse = Callable[[Floats], Floats]
"""An ROC curve: from true positive rates to false positive rates, both of 0–1."""

_NORMAL = NormalDist()
FIGURES = ("mean", "95th", "maximum", "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """What comes in and what there is.

    Attributes
    ----------
    arrivals : float
        Suspects of a night, on average.
    load : float
        Swabs for each suspect, on average.
    prevalence : float
        Share of the suspects who are PCR-positive.
    nights : int
        For which the suspects are counted; it goes on until the last of them is swabbed or has expired.
    expire_nights : int
    """

    arrivals: float = 40.0
    load: float = 0.95
    prevalence: float = 0.2
    nights: int = 120
    expire_nights: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """All that chance decides, but for lots.

    Attributes
    ----------
    night : ndarray of int64, shape (n,)
        On which each suspect comes in, not falling.
    positive : ndarray of bool, shape (n,)
    place : ndarray of float64, shape (n,)
        Where each stands among its kind by score: 0 the highest, 1 the lowest.
    swabs : ndarray of int64, shape (nights,)
        Of the day after each night.
    """

    night: NDArray[np.int64]
    positive: NDArray[np.bool_]
    place: Floats
    swabs: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a list is sorted.

    Attributes
    ----------
    by_lot : bool
        Lots, drawn anew every night, in place of the score.
    max_nights : int or None
        As ``--max-nights``: who has waited for so long comes first.
    by_nights : bool
        Among those who come first: by nights, as the program has it, or all by score.
    """

    name: str
    by_lot: bool = False
    max_nights: int | None = None
    by_nights: bool = True


FIRST_COME = Order(name="first come", by_lot=True, max_nights=1)
AT_RANDOM = Order(name="random", by_lot=True)
SCORE = Order(name="score")


def with_max_wait(max_nights: int, by_nights: bool = True) -> Order:
    """Rank by the score, and who has waited for some nights first."""
    inside = "nights" if by_nights else "score"
    return Order(name=f"max {max_nights}, by {inside}", max_nights=max_nights, by_nights=by_nights)


def binormal(auroc: float) -> Inverse:
    """Make the ROC curve of two normal distributions of one width.

    Parameters
    ----------
    auroc : float
        Above 0 and below 1.
    """
    apart = math.sqrt(2) * _NORMAL.inv_cdf(auroc)
    inverse = np.vectorize(lambda rate: _NORMAL.cdf(_NORMAL.inv_cdf(rate) - apart), otypes=[np.float64])
    return inverse if apart else lambda rates: rates


def measured(curve: ListCurve) -> Inverse:
    """Load the ROC curve of a bundle."""
    return lambda rates: np.interp(rates, curve.tpr, curve.fpr)


def draw(ward: Ward, seed: int) -> Wave:
    """Draw suspects and swabs; the same for equal arguments."""
    source = np.random.default_rng(seed)
    nights = ward.nights + ward.expire_nights
    night = np.repeat(np.arange(nights), source.poisson(ward.arrivals, nights))
    return Wave(
        night=night,
        positive=source.random(night.size) < ward.prevalence,
        place=source.uniform(1e-12, 1, night.size),
        swabs=source.poisson(ward.load * ward.arrivals, nights),
    )


def scores(wave: Wave, curve: Inverse) -> Floats:
    """Scores of 0–1: one less the false positive rate at which each suspect would be found, shape (n,)."""
    return 1 - np.where(wave.positive, curve(wave.place), wave.place)


def nights_waited(wave: Wave, score: Floats, order: Order, expire_nights: int) -> NDArray[np.int64]:
    """Let the nights pass.

    Returns
    -------
    ndarray of int64, shape (n,)
        From the night on which a suspect came in to the one after which it was swabbed; `expire_nights` for who
        never was.
    """
    lots = np.random.default_rng(len(wave.night))
    waited = np.full(wave.night.size, expire_nights)
    starts = np.searchsorted(wave.night, np.arange(wave.swabs.size + 1))
    waiting: list[int] = []
    for tonight, (start, stop) in enumerate(pairwise(starts)):
        waiting += range(start, stop)
        waiting = [number for number in waiting if tonight - wave.night[number] < expire_nights]
        nights = tonight - wave.night[waiting]
        values = lots.random(len(waiting)) if order.by_lot else score[waiting]
        in_order = listed(waiting, nights.tolist(), values.tolist(), order)
        swabbed = in_order[: wave.swabs[tonight]]
        waited[swabbed] = tonight - wave.night[swabbed]
        waiting = in_order[wave.swabs[tonight] :]
    return waited


def listed(numbers: Sequence[int], nights: Sequence[int], values: Sequence[float], order: Order) -> list[int]:
    """Put suspects in the order of the program's list."""
    suspects = sorted(zip(numbers, nights, values, strict=True))
    return [int(patient.patient_key[1]) for patient in rank(suspects, lambda one: _patient(*one, order))]


def _patient(number: int, nights: int, value: float, order: Order) -> PatientTriage:
    first = order.max_nights is not None and nights >= order.max_nights
    key: PatientKey = ("simulated", f"{number:08}")
    return PatientTriage(
        rank=None,
        priority=None,
        patient_id=key[1],
        accession_number="",
        study_date="",
        score=value,
        scores=None,
        n_images=1,
        top_image="",
        nights_waiting=nights if order.by_nights else min(nights, order.max_nights or 0),
        flags=(Flag.MAX_WAIT,) if first else (),
        patient_key=key,
    )


def figures(waited: NDArray[np.int64], expire_nights: int) -> Floats:
    """`FIGURES` of some suspects, shape (4,); NaN where there are none."""
    if not waited.size:
        return np.full(len(FIGURES), np.nan)
    never = (waited >= expire_nights).mean()
    return np.array([waited.mean(), np.percentile(waited, 95), waited.max(), never])


def over_seeds(
    ward: Ward, curve: Inverse, orders: Sequence[Order], seeds: Sequence[int]
) -> NDArray[np.float64]:
    """Figures of every order, shape (orders, seeds, 2, 4): those of PCR-positive patients, then of the others."""
    found = np.empty((len(orders), len(seeds), 2, len(FIGURES)))
    for column, seed in enumerate(seeds):
        wave = draw(ward, seed)
        score, counts = scores(wave, curve), wave.night < ward.nights
        for row, order in enumerate(orders):
            waited = nights_waited(wave, score, order, ward.expire_nights)
            for side, who in enumerate((wave.positive, ~wave.positive)):
                found[row, column, side] = figures(waited[counts & who], ward.expire_nights)
    return found


def lines(name: str, orders: Sequence[Order], found: NDArray[np.float64]) -> Iterator[str]:
    """Rows of a table in Markdown, one for each order."""
    mean = np.nanmean(found, axis=1)
    n_seeds = found.shape[1]
    error = (
        np.nanstd(found, axis=1, ddof=1) / math.sqrt(n_seeds) if n_seeds > 1 else np.full(mean.shape, np.nan)
    )
    for order, means, errors in zip(orders, mean, error, strict=True):
        cells = map(_cell, means.ravel(), errors.ravel(), 2 * FIGURES)
        yield f"| {name} | {order.name} | {' | '.join(cells)} |"


def _cell(mean: float, error: float, figure: str) -> str:
    return f"{mean:.1%} ± {error:.1%}" if figure == "never" else f"{mean:.2f} ± {error:.2f}"


def curves(aurocs: Sequence[float]) -> Iterator[tuple[str, Inverse]]:
    """Scores that are worth so much, then those of the shipped bundle, where it was measured."""
    for auroc in aurocs:
        yield f"{auroc:.2f}", binormal(auroc)
    shipped = ListCurve.of(load_bundle(DEFAULT_BUNDLE).evaluation)
    if shipped:
        area = float(np.diff(shipped.fpr) @ (shipped.tpr[1:] + shipped.tpr[:-1]) / 2)
        yield f"shipped, {area:.2f}", measured(shipped)
    else:
        print("The shipped bundle has no measured curve.")


def _options() -> argparse.Namespace:
    usual = Ward()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--load", type=float, nargs="+", default=[0.8, 0.95, 1.05], help="swabs for each suspect"
    )
    parser.add_argument("--auroc", type=float, nargs="*", default=[0.5, 0.6, 0.7, 0.85], help="of the score")
    parser.add_argument("--max-nights", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--arrivals", type=float, default=usual.arrivals, help="suspects of a night")
    parser.add_argument(
        "--prevalence", type=float, default=usual.prevalence, help="share that is PCR-positive"
    )
    parser.add_argument("--nights", type=int, default=usual.nights)
    parser.add_argument("--expire", type=int, default=usual.expire_nights, help="nights")
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    return parser.parse_args()


def main() -> None:
    """Print one table for each load."""
    options = _options()
    by_score = [SCORE, *(with_max_wait(n, inside) for inside in (True, False) for n in options.max_nights)]
    for load in options.load:
        ward = Ward(
            arrivals=options.arrivals,
            load=load,
            prevalence=options.prevalence,
            nights=options.nights,
            expire_nights=options.expire,
        )
        print(f"\n{load:g} swabs for each suspect\n")
        heads = [f"{who} {figure}" for who in ("pos.", "neg.") for figure in FIGURES]
        print(f"| AUROC | order | {' | '.join(heads)} |\n|---|---|{'---:|' * len(heads)}")
        seeds = range(options.seeds)
        for name, curve, orders in [
            ("any", binormal(0.5), [FIRST_COME, AT_RANDOM]),
            *((*one, by_score) for one in curves(options.auroc)),
        ]:
            for line in lines(name, orders, over_seeds(ward, curve, orders, seeds)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
