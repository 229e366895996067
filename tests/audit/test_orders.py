"""Whatever the order of screen, import, undo and audit: no result of a patient who was listed is without a wait."""

from itertools import permutations

import pytest

from cxrbatch.audit.episodes import Episodes, find_episodes
from cxrbatch.state.connection import open_state
from tests.screening.test_state_machine import EXPIRE_AT_MOST, Nights, dicom

EVENTS = (
    ("screen", "screen", "import A", "undo"),
    ("screen", "import A", "forget A", "prune"),
    ("screen", "undo", "forget B", "prune"),
)


def audited(nights: Nights) -> Episodes | None:
    if not nights.model.lists:
        return None
    with open_state(nights.scratch / "state", durable=False) as state:
        runs = [run for run in state.runs() if run.finished]
        return find_episodes(runs, state.lists.entries(), state.pcr.results(), state.images())


def happens(event: str, nights: Nights) -> None:
    if event == "screen":
        nights.screened()
    elif event == "undo":
        if nights.model.rows:
            nights.import_is_undone(0, None)
    elif event == "prune":
        nights.time_goes_by(24 * EXPIRE_AT_MOST)
        nights.is_pruned(EXPIRE_AT_MOST, None)
    else:
        happens_to(event, nights)


def happens_to(event: str, nights: Nights) -> None:
    what, _, patient = event.partition(" ")
    known = [image.reading.patient[2] for image in nights.model.known.values()]
    if patient not in known:  # forgotten, and not screened again yet
        return
    if what == "import":
        nights.result_arrives(known.index(patient), 0, True, False, None)
    else:
        nights.is_forgotten(known.index(patient), None)


@pytest.mark.parametrize("events", EVENTS, ids=" ".join)
@pytest.mark.parametrize("first", ["screen", "killed"])
def test_all_orders(first: str, events: tuple[str, ...]) -> None:
    """Both patients came in before; with a run that was killed, nobody had been listed by then."""
    for order in sorted(set(permutations(events))):
        nights = Nights()
        try:
            for patient, uid in (("A", "1"), ("B", "2")):
                nights.write(f"{patient}.dcm", dicom(patient, uid, "pq"[patient == "B"], ""))
            nights.screened() if first == "screen" else nights.run_is_killed(2, False)
            for event in order:
                happens(event, nights)
                check(nights)
        finally:
            nights.teardown()


def check(nights: Nights) -> None:
    found = audited(nights)
    if found is None:
        return
    standing = nights.model.standing()
    listed = {patient for _, patient in nights.model.listed()}
    assert {one.patient_key for one in found.episodes} == listed
    with_result = {one.patient_key for one in found.episodes if one.is_positive}
    assert with_result == {patient for patient, _ in standing} & listed
    assert found.n_results == len(standing)
    assert found.n_results_outside == sum(patient not in listed for patient, _ in standing)
