"""Estimate what a number of swabs finds: measured ROC curve of a bundle and tonight's patients in, yield out.

Let p be the prevalence. A test of all patients above a threshold tests the share p·TPR + (1 − p)·FPR of the list, and
reaches the share TPR of the PCR-positive patients. So the share tested gives a point of the ROC curve, and this point
gives the share reached.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cxrbatch.reasons import Flag
from cxrbatch.records import CapacityYield, Expected, PatientTriage, Reach
from cxrbatch.stats import Floats
from cxrbatch.triage.probability import state_percent, without_places

ASSUMPTION = (
    "All of this takes tonight's patients to be like those on whom it was measured, which nobody has checked; "
    "models of this kind have often done worse in hospitals that were new to them."
)


@dataclass(frozen=True, slots=True)
class ListCurve:
    """The ROC curve of the COVID-19 score within a hospital (`cxrbatch.evaluation.roc_curve`).

    Attributes
    ----------
    fpr, tpr, low, high : ndarray of float64, shape (n,)
        From 0 to 1, `fpr` rising, the others not falling; `low` and `high` are the 95 % band of `tpr` at each point.
    measured_on : str
        Description of the patients, in words.
    """

    fpr: Floats
    tpr: Floats
    low: Floats
    high: Floats
    measured_on: str = ""

    @classmethod
    def of(cls, evaluation: Mapping[str, Any]) -> "ListCurve | None":
        """Make the curve from the evaluation of a bundle; None if it has none."""
        found = evaluation.get("list_curve")
        if not found:
            return None
        fpr, tpr, low, high = (np.array(found[name], np.float64) for name in ("fpr", "tpr", "low", "high"))
        return cls(fpr, tpr, low, high, str(found["measured_on"]))

    def reached(self, tested: float, prevalence: float) -> Expected:
        """Compute the share of the PCR-positive patients at the top of a list, with the interval of the band.

        Parameters
        ----------
        tested : float
            Share of the list that is tested from the top, 0–1.
        prevalence : float
            Share of the patients who are PCR-positive, above 0 and below 1.

        Returns
        -------
        Expected
            Share and interval, 0–1.
        """
        value, low, high = (
            float(np.interp(tested, prevalence * tpr + (1 - prevalence) * self.fpr, tpr))
            for tpr in (self.tpr, self.low, self.high)
        )
        return Expected(value=value, low=low, high=high)


def capacity_yield(
    n_swabs: int,
    patients: Iterable[PatientTriage],
    evaluation: Mapping[str, Any],
    prevalence: float | None,
) -> CapacityYield:
    """Estimate how many PCR-positive patients are among the first `n_swabs` of a list.

    Parameters
    ----------
    n_swabs : int
        1 or more.
    patients : iterable of PatientTriage
        Patients of the run; those who are not ranked do not count.
    evaluation : mapping
        Evaluation of the bundle.
    prevalence : float or None
        Share of the patients with COVID-19, above 0 and below 1.

    Returns
    -------
    CapacityYield
        Without figures if there is no prevalence, no curve or no ranked patient.
    """
    waited = [Flag.MAX_WAIT in patient.flags for patient in patients if patient.is_ranked]
    curve = ListCurve.of(evaluation)
    stated = CapacityYield(
        n_swabs=n_swabs,
        n_ranked=len(waited),
        n_max_wait=sum(waited),
        prevalence=prevalence,
        measured_on=curve.measured_on if curve else "",
    )
    if curve is None or prevalence is None or not waited:
        return stated
    at_random = min(1.0, n_swabs / len(waited))
    return replace(
        stated,
        from_top=_reach(expected_share(curve, stated, prevalence), stated, prevalence),
        at_random=_reach(_certain(at_random), stated, prevalence),
    )


def expected_share(curve: ListCurve, stated: CapacityYield, prevalence: float) -> Expected:
    """Compute the expected share of the PCR-positive patients among the first of the list, 0–1.

    Patients who are at the top because of their wait count as a list in random order: only the prevalence is known
    for them. The curve describes the list of the other patients, which follows.
    """
    if stated.n_swabs >= stated.n_ranked:
        return _certain(1.0)
    if stated.n_swabs <= stated.n_max_wait:
        return _certain(stated.n_swabs / stated.n_ranked)
    waited = stated.n_max_wait / stated.n_ranked
    others = curve.reached(
        (stated.n_swabs - stated.n_max_wait) / (stated.n_ranked - stated.n_max_wait), prevalence
    )
    value, low, high = (waited + (1 - waited) * share for share in (others.value, others.low, others.high))
    return Expected(value=value, low=low, high=high)


def _certain(value: float) -> Expected:
    return Expected(value=value, low=value, high=value)


def _reach(share: Expected, stated: CapacityYield, prevalence: float) -> Reach:
    n_tested, n_positive = min(stated.n_swabs, stated.n_ranked), prevalence * stated.n_ranked
    value, low, high = (each * n_positive for each in (share.value, share.low, share.high))
    return Reach(
        share=share,
        positives=Expected(value=value, low=low, high=high),
        tests_per_positive=Expected(
            value=_per(n_tested, value), low=_per(n_tested, high), high=_per(n_tested, low)
        ),
    )


def _per(n_tested: int, positives: float) -> float:
    return n_tested / positives if positives > 0 else math.inf


def max_wait_warning(n_waited: int, n_swabs: int | None) -> str:
    """Write a warning if those who come first because of their wait need all swabs; empty if not.

    Parameters
    ----------
    n_waited : int
        Ranked patients with the flag ``max_wait``.
    n_swabs : int or None
        Number of available swabs; None: unknown, no warning.
    """
    if n_swabs is None or n_waited < n_swabs:
        return ""
    who = "1 patient comes" if n_waited == 1 else f"{n_waited} patients come"
    return (
        f"{who} first because of the wait (--max-nights), and there {_are(n_swabs)}: the score has no say in who is "
        "swabbed. Raise --max-nights, or leave it out."
    )


def _are(n_swabs: int) -> str:
    return "is 1 swab" if n_swabs == 1 else f"are {n_swabs} swabs"


def capacity_note(found: CapacityYield) -> str:
    """Write what users of the list must know about the expected yield."""
    return " ".join(_sentences(found))


def sums_note(found: CapacityYield, probabilities: Sequence[float]) -> str:
    """Write why the probabilities do not add up to the expected yield; empty where not both are stated, or they do.

    Parameters
    ----------
    found : CapacityYield
    probabilities : sequence of float
        Of the ranked patients in the order of the list, 0–1.
    """
    if found.from_top is None or found.prevalence is None or found.n_swabs >= found.n_ranked:
        return ""
    first, everybody = (f"{sum(part):.1f}" for part in (probabilities[: found.n_swabs], probabilities))
    stated, stated_of_all = (
        f"{found.from_top.positives.value:.1f}",
        f"{found.prevalence * found.n_ranked:.1f}",
    )
    if (first, everybody) == (stated, stated_of_all):
        return ""
    return (
        f"The probabilities of the first {found.n_swabs} add up to {first}, where {stated} are expected, and those "
        f"of all {found.n_ranked} to {everybody}, where {state_percent(found.prevalence)} is {stated_of_all}: a "
        "probability goes by the score itself, the expected number by the order of the list alone. They differ where "
        "tonight's scores are spread otherwise than those that were measured. Count on the smaller number."
    )


def _sentences(found: CapacityYield) -> Iterator[str]:
    n_swabs = "1 swab" if found.n_swabs == 1 else f"{found.n_swabs} swabs"
    first = f"the first {found.n_swabs} of {found.n_ranked} ranked patients"
    if found.n_swabs >= found.n_ranked:
        yield f"{n_swabs}, {found.n_ranked} ranked: there is one for each of them, in whatever order."
    elif not found.measured_on:
        yield (
            f"{n_swabs}: what {first} hold cannot be said. The bundle has no measured curve, so that nothing is "
            "known of how its list compares with random order."
        )
    elif found.from_top is None or found.at_random is None or found.prevalence is None:
        yield (
            f"{n_swabs}: what {first} hold cannot be said without a prevalence. State with --prevalence the share of "
            "tonight's patients expected to have COVID-19."
        )
    else:
        yield from _comparison(f"{n_swabs}: {first}", found.from_top, found.at_random)
        yield from _grounds(found, found.prevalence)


def _comparison(first: str, top: Reach, random: Reach) -> Iterator[str]:
    share, positives, tests = top.share, top.positives, top.tests_per_positive
    yield (
        f"{first} are expected to hold {_share(share.value)} ({_share(share.low)} to {_share(share.high)}) of all "
        f"who are PCR-positive: {positives.value:.1f} ({positives.low:.1f} to {positives.high:.1f}), "
        f"{_tests(tests.value)} ({_tests(tests.low)} to {_tests(tests.high)}) swabs for each."
    )
    yield (
        f"In random order as many swabs reach {_share(random.share.value)}: {random.positives.value:.1f}, "
        f"{_tests(random.tests_per_positive.value)} swabs for each."
    )
    if share.low <= random.share.value <= share.high:
        yield "The interval includes random order: the list may be no better."
    elif share.high < random.share.value:
        yield "Random order would be better."


def _grounds(found: CapacityYield, prevalence: float) -> Iterator[str]:
    if found.n_max_wait:
        who, count = ("patient comes", "counts") if found.n_max_wait == 1 else ("patients come", "count")
        yield f"{found.n_max_wait} {who} first because of the wait, whatever the score, and {count} as random order."
    yield (
        f"The prevalence of {state_percent(prevalence)} was stated and not measured. The list was measured on "
        f"{without_places(found.measured_on)}, within each hospital; in brackets the 95 % interval. Patients "
        f"without a score are not counted. {ASSUMPTION}"
    )


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def _tests(number: float) -> str:
    return "no limit" if math.isinf(number) else f"{number:.1f}"
