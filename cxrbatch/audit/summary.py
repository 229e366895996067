"""Summarise the figures of an audit in sentences: `Audit` in, sentences out.

Each sentence follows a fixed rule. Problems come first, good findings last.
"""

from collections.abc import Callable, Iterator

from cxrbatch.audit.drift import SHIFTED
from cxrbatch.audit.episodes import RESULT_DAYS
from cxrbatch.audit.estimate import ALL, FEWEST, AuditEstimate
from cxrbatch.audit.figures import Audit
from cxrbatch.pages import figure, percent


def summarise(audit: Audit) -> list[str]:
    """Write the sentences that a user must read before the figures."""
    return [sentence for rule in _RULES for sentence in rule(audit)]


def between(estimate: AuditEstimate, write: Callable[[float | None], str] = figure) -> str:
    """Write a figure, with its interval if it has one; ``too few`` if it has no value."""
    if estimate.value is None:
        return "too few"
    if estimate.low is None or estimate.high is None:
        return write(estimate.value)
    return f"{write(estimate.value)} ({write(estimate.low)} to {write(estimate.high)})"


def _too_few_results(audit: Audit) -> Iterator[str]:
    tested = [episode.is_positive for episode in audit.found.episodes if episode.is_positive is not None]
    n_positive = sum(tested)
    if min(n_positive, len(tested) - n_positive) < FEWEST:
        yield (
            f"Too few results to say what the order was worth: {n_positive} waits with a PCR-positive and "
            f"{len(tested) - n_positive} with a PCR-negative result, of {len(audit.found.episodes)}; at least "
            f"{FEWEST} of either are needed, and many more for narrow intervals."
        )


def _no_better(audit: Audit) -> Iterator[str]:
    ahead, gain = audit.get("gain", "gain_list_minus_arrival"), audit.get("gain", "gain_list")
    if ahead.value is None or ahead.low is None or gain.value is None or gain.low is None:
        return
    figures = f"gain {_gains(audit)} (0 is random order, 1 a perfect one)"
    if ahead.value <= 0 and _knows_arrival(audit):
        yield f"The list was no better than the order of arrival: {figures}."
    elif gain.value <= 0:
        yield f"The list was no better than random order: {figures}."
    elif min(ahead.low, gain.low) <= 0:
        other = "the order of arrival" if ahead.low <= 0 and _knows_arrival(audit) else "random order"
        yield f"It is not shown that the list was better than {other}: {figures}."


def _gains(audit: Audit) -> str:
    ours, arrival = (audit.get("gain", f"gain_{order}") for order in ("list", "arrival"))
    return f"{between(ours)} against {between(arrival)} by arrival, {ours.n} waits with a result"


def _verification_differs(audit: Audit) -> Iterator[str]:
    apart = audit.get("verification", "first_k_minus_others")
    if apart.low is None or apart.high is None or apart.low <= 0 <= apart.high:
        return
    first, others = (audit.get("verification", f"with_result_{part}") for part in ("first_k", "others"))
    yield (
        f"Results are not known alike: of the waits among the first {audit.capacity} {percent(first.value)} have one "
        f"(n = {first.n}), of the others {percent(others.value)} (n = {others.n}). The figures hold for the tested "
        "only; sensitivity is too high if the others hold PCR-positive patients who were never tested "
        "(verification bias)."
    )


def _positives_wait_longer(audit: Audit) -> Iterator[str]:
    positive, negative = (audit.get("waiting", f"mean_pcr_{side}") for side in ("positive", "negative"))
    if positive.value is not None and negative.value is not None and positive.value > negative.value:
        yield (
            f"PCR-positive patients waited longer than PCR-negative ones: {positive.value:.1f} nights on average "
            f"(n = {positive.n}) against {negative.value:.1f} (n = {negative.n})."
        )


def _reached_max_wait(audit: Audit) -> Iterator[str]:
    n = audit.get("waiting", "n_max_wait").n
    if n:
        yield (
            f"{n} of {len(audit.found.episodes)} waits {_was(n)} as long as --max-nights allows, or longer (flag "
            "max_wait)."
        )


def _scores_shifted(audit: Audit) -> Iterator[str]:
    for name, reference in (
        ("psi_to_first_weeks", "those of this hospital's first weeks"),
        ("psi_to_bundle", "those of the bundle's reference"),
    ):
        measured = [one for one in audit.estimates if one.name == name and one.value is not None]
        if measured and (last := measured[-1]).value is not None and last.value > SHIFTED:
            yield (
                f"Scores are distributed otherwise than {reference}: population stability index "
                f"{figure(last.value, 2)} in {last.week} (n = {last.n}; a rule of thumb calls more than {SHIFTED} a "
                "large shift). Find out whether patients, devices or views have changed."
            )


def _more_not_scored(audit: Audit) -> Iterator[str]:
    risen = audit.get("drift", "not_scored_last_week_minus_before")
    if risen.low is not None and risen.low > 0:
        last = audit.get("drift", "not_scored", max(week for week in audit.weeks("drift") if week != ALL))
        yield (
            f"More images are not scored than before: {percent(last.value)} of {last.n} in {last.week}, "
            f"{percent(risen.value)} more than in the weeks before. The reasons stand below."
        )


def _knows_arrival(audit: Audit) -> bool:
    """Check whether any night has patients who did not arrive at the same moment."""
    nights = {episode.first_night for episode in audit.found.episodes}
    return len({(episode.first_night, episode.arrived) for episode in audit.found.episodes}) > len(nights)


def _arrival_unknown(audit: Audit) -> Iterator[str]:
    if audit.found.episodes and not _knows_arrival(audit):
        yield (
            "The order of arrival is not known, because the files of each night were written at the same moment: it "
            "counts as random order."
        )


def _threshold_missing(audit: Audit) -> Iterator[str]:
    if audit.recommended is None:
        positive, negative = (
            audit.get("threshold", f"missing_{side}").n for side in ("positive", "negative")
        )
        yield (
            f"No local threshold is recommended: {positive} PCR-positive and {negative} PCR-negative results of "
            f"patients ranked by {audit.bundle.id} are missing."
        )


def _other_bundles(audit: Audit) -> Iterator[str]:
    if n := audit.n_other_bundles:
        yield (
            f"{n} {'wait' if n == 1 else 'waits'} with a result {_was(n)} ranked by another bundle than "
            f"{audit.bundle.id} and left out of calibration and threshold, because scores of two bundles cannot be "
            "compared."
        )


def _results_outside(audit: Audit) -> Iterator[str]:
    if n := audit.found.n_results_outside:
        yield (
            f"{n} of {audit.found.n_results} PCR results fit no wait (swab more than a day before the first night, "
            f"or more than {RESULT_DAYS} days after the last, or never on a list) and are not used."
        )


def _good_order(audit: Audit) -> Iterator[str]:
    ahead, gain = audit.get("gain", "gain_list_minus_arrival"), audit.get("gain", "gain_list")
    if ahead.low is not None and gain.low is not None and min(ahead.low, gain.low) > 0:
        first, arrival = (audit.get("gain", f"found_{order}_20") for order in ("list", "arrival"))
        yield (
            f"Good: the list was better than the order of arrival and than random order: gain {_gains(audit)}. The "
            f"first fifth of a night's list held {percent(first.value)} of its PCR-positive patients, the first "
            f"fifth to arrive {percent(arrival.value)}."
        )


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


_RULES: tuple[Callable[[Audit], Iterator[str]], ...] = (
    _no_better,
    _too_few_results,
    _verification_differs,
    _positives_wait_longer,
    _reached_max_wait,
    _scores_shifted,
    _more_not_scored,
    _arrival_unknown,
    _threshold_missing,
    _other_bundles,
    _results_outside,
    _good_order,
)
