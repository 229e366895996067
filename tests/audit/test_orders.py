"""Whatever the order of screen, import, undo and audit: no result of a patient who was listed is without a wait."""

from itertools import permutations

import pytest

from cxrbatch.audit.episodes import Episodes, find_episodes
from cxrbatch.state.connection import open_state
from tests.screening.test_state_machine import Nights, dicom

EVENTS = ("screen", "screen", "import A", "undo")


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
    else:
        which = [known.reading.patient[2] for known in nights.model.known.values()].index(event[-1:])
        nights.result_arrives(which, 0, True, False, None)


@pytest.mark.parametrize("first", ["screen", "killed"])
def test_all_orders_of_a_night(first: str) -> None:
    """Both patients came in before; with a run that was killed, nobody had been listed by then."""
    for order in sorted(set(permutations(EVENTS))):
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
