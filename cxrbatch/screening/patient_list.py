"""Make the list of a run: outcomes of its files in, ranked patients out."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from cxrbatch._lib.packed import Packed, PackedInts, order_of
from cxrbatch.bundle import Bundle
from cxrbatch.reasons import Flag
from cxrbatch.records import Failure, ImageScore, Outcome, PatientTriage
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.screening.outcomes import RunOutcomes
from cxrbatch.state import RunContext, State
from cxrbatch.triage import (
    DuplicateFinder,
    ListRules,
    aggregate_patients,
    make_waiting_list,
    with_probabilities,
)


def refuse_duplicates(resolved: RunOutcomes, state: State, *, by_night: bool) -> Packed[Outcome]:
    """Refuse second copies, and store of which file each is one.

    Parameters
    ----------
    resolved : RunOutcomes
    state : State
    by_night : bool
        An image that came in on an earlier night is the first one. Without a kept state there are no earlier nights,
        even if a killed run began on one.

    Returns
    -------
    Packed of ImageScore and Failure
        All outcomes, sorted by name.
    """
    outcomes = resolved.outcomes[:]
    names: list[str] = []
    finder = DuplicateFinder(_noted(outcomes, names))
    by_name = order_of(names)
    del names
    in_time = sorted(by_name, key=resolved.nights.__getitem__) if by_night else by_name
    state.mark_duplicates(_judged(outcomes, in_time, finder))
    return outcomes.chosen(by_name)


def _noted(outcomes: Iterable[Outcome], names: list[str]) -> Iterator[Outcome]:
    for outcome in outcomes:
        names.append(outcome.name)
        yield outcome


def _judged(
    outcomes: Packed[Outcome], in_time: Sequence[int], finder: DuplicateFinder
) -> Iterator[tuple[int, str]]:
    """Replace second copies by their refusals; yields for each image its number in the state and the first copy."""
    for index in in_time:
        image = outcomes[index]
        if isinstance(image, ImageScore):
            judged, original = finder.judge(image)
            if judged is not image:
                outcomes[index] = judged
            yield image.stored_id, original


def images_and_failures(outcomes: Packed[Outcome]) -> tuple[Packed[ImageScore], Packed[Failure]]:
    """Split outcomes into those with a score and those without one."""
    has_score = [isinstance(outcome, ImageScore) for outcome in outcomes]
    scored = outcomes.chosen(index for index, has in enumerate(has_score) if has)
    unscored = outcomes.chosen(index for index, has in enumerate(has_score) if not has)
    return cast("Packed[ImageScore]", scored), cast("Packed[Failure]", unscored)


def list_patients(
    outcomes: Packed[Outcome], bundle: Bundle, options: ScreenOptions, state: State, context: RunContext
) -> Packed[PatientTriage]:
    """Rank the patients of a run; with a kept state those who wait since earlier nights too."""
    if options.state:
        return _waiting(outcomes, bundle, options, state, context)
    return aggregate_patients(outcomes, bundle.aggregation, bundle.operating_points)


def _waiting(
    outcomes: Packed[Outcome], bundle: Bundle, options: ScreenOptions, state: State, context: RunContext
) -> Packed[PatientTriage]:
    """Make the list across nights; thumbnails of patients who have left it are deleted."""
    oldest = context.night - dt.timedelta(days=options.expire_nights)
    stored_images = state.stored_images(after=oldest, outcomes=_with_tonight_only_flags(outcomes))
    state.forget_thumbnails(before=oldest)
    rules = ListRules(
        tonight=context.night,
        expire_nights=options.expire_nights,
        max_nights=options.max_nights,
        pending_days=options.pending_days,
        bundle_sha256=bundle.sha256,
        aggregation=bundle.aggregation,
        operating_points=bundle.operating_points,
    )
    results, swabs = state.pcr.days(stored_images.patients())
    found = PackedInts(outcome.stored_id for outcome in outcomes)
    return make_waiting_list(stored_images, found, results, swabs, rules)


def _with_tonight_only_flags(outcomes: Iterable[Outcome]) -> dict[int, Outcome]:
    """Select the images with a flag that depends on other files: it is not stored."""
    return {
        outcome.stored_id: outcome
        for outcome in outcomes
        if isinstance(outcome, ImageScore) and Flag.UID_CONFLICT in outcome.flags
    }


def add_probabilities(
    patients: Packed[PatientTriage], bundle: Bundle, prevalence: float | None
) -> Packed[PatientTriage]:
    """Set the probabilities of a list where a prevalence was stated."""
    if prevalence is None:
        return patients
    return with_probabilities(patients, bundle.require_calibration(), prevalence)
