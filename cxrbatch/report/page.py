"""Render the page of a report: `TriageRun` in, HTML out.

The page is one file. It needs no other file and no network, and works without scripts. Everything that comes from a
file is passed through `cxrbatch._lib.text.visible` and then escaped by Jinja2. A Content-Security-Policy allows only
the page's own style and script, by hash.
"""

import base64
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment

from cxrbatch._lib.packed import Packed
from cxrbatch.pages import make_environment
from cxrbatch.reasons import FLAG_MEANING, REASON_MEANING, Flag, Reason
from cxrbatch.records import PatientTriage, Priority, TriageRun
from cxrbatch.report.columns import choose_columns, notes, notes_to_check
from cxrbatch.report.details import details, to_json
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.words import OF_THE_SCRIPT, TEXTS, say
from cxrbatch.triage import capacity_note, state_percent, sums_note

_HERE = Path(__file__).parent

_PRINTED = 30
"""Patients that are printed first where the number of swabs is not stated."""
_PIECE = 1000
"""Number of strings of the template that are written at a time."""

Kind = TypeVar("Kind", bound=StrEnum)


def render_page(
    run: TriageRun, sha256: Mapping[str, str], extras: PageExtras = PageExtras()
) -> Iterator[bytes]:
    """Render the page in pieces: with a thumbnail for each patient it may have a hundred megabytes.

    Parameters
    ----------
    run : TriageRun
    sha256 : mapping of str to str
        SHA-256 of the tables that belong to the page, in hexadecimal, by file name.
    extras : PageExtras

    Yields
    ------
    bytes
        HTML in UTF-8; the same for the same run.
    """
    counts = _count_patients(run.patients)
    end = len(run.patients) - counts.n_swabbed
    ranked = run.patients[: counts.n_ranked]
    pieces = (
        _environment()
        .get_template("page.html")
        .stream(
            run=run,
            ranked=ranked,
            not_scored=run.patients[counts.n_ranked : end],
            swabbed=run.patients[end:],
            n_max_wait=counts.n_max_wait,
            n_waiting=counts.n_waiting,
            n_by_priority=_those_found(Priority, counts.by_priority),
            n_by_flag=_those_found(Flag, counts.by_flag),
            n_not_scored=_count_reasons(run, skipped=False),
            n_skipped=_count_reasons(run, skipped=True),
            todo=_todo(run, len(ranked)),
            sha256=sha256,
            report_id=list(sha256.values())[-1][:16],
            n_printed=_n_printed(run, len(ranked)),
            checks=counts.to_check,
            bands=_bands(run.thresholds),
            n_urgent_below=_n_urgent_below(run, ranked, counts.by_priority[Priority.URGENT]),
            extras=extras,
            show_title=_show_title(extras),
        )
    )
    pieces.enable_buffering(_PIECE)
    return (piece.encode("utf-8") for piece in pieces)


def _todo(run: TriageRun, n_ranked: int) -> str:
    """Write what to do, in one line."""
    if not n_ranked:
        return say("none_ranked")
    if run.capacity is None:
        return say("swab_from_top")
    return (
        say("swab_all", n_ranked)
        if run.capacity.n_swabs >= n_ranked
        else say("swab_first", run.capacity.n_swabs)
    )


def _n_printed(run: TriageRun, n_ranked: int) -> int:
    """Choose how many ranked patients are printed first: those for whom there are swabs."""
    return min(run.capacity.n_swabs if run.capacity else _PRINTED, n_ranked)


def _bands(thresholds: Mapping[Priority, float]) -> dict[Priority, str]:
    """Describe each band: from which score to which it reaches."""
    if not thresholds:
        return {}
    urgent, high = (f"{thresholds[band]:.3f}" for band in (Priority.URGENT, Priority.HIGH))
    return {
        Priority.URGENT: say("band_urgent", least=urgent),
        Priority.HIGH: say("band_high", least=high, below=urgent),
        Priority.ROUTINE: say("band_routine", below=high),
    }


def _n_urgent_below(run: TriageRun, ranked: Sequence[PatientTriage], n_urgent: int) -> int:
    """Count the urgent patients for whom there is no swab."""
    if not run.capacity:
        return 0
    above = ranked[: run.capacity.n_swabs]
    return n_urgent - sum(patient.priority is Priority.URGENT for patient in above)


def _sums_note(run: TriageRun) -> str:
    ranked = [patient.probability for patient in run.patients if patient.is_ranked]
    probabilities = [probability for probability in ranked if probability is not None]
    return sums_note(run.capacity, probabilities) if run.capacity and probabilities else ""


def _show_title(extras: PageExtras) -> str:
    title = ", ".join(say(f"show_{name}") for name in extras.show)
    return title[:1].upper() + title[1:]


@dataclass(slots=True)
class _PatientCounts:
    """What the page counts of patients, and the ranked ones of whom a human must clear something up."""

    n_ranked: int = 0
    n_swabbed: int = 0
    n_waiting: int = 0
    n_max_wait: int = 0
    by_priority: Counter[Priority] = field(default_factory=Counter)
    by_flag: Counter[Flag] = field(default_factory=Counter)
    to_check: Packed[PatientTriage] = field(default_factory=Packed)


def _count_patients(patients: Iterable[PatientTriage]) -> _PatientCounts:
    """Count all in one go: to read a patient takes longer than to count."""
    found = _PatientCounts()
    for patient in patients:
        found.n_swabbed += patient.awaits_result
        found.n_waiting += patient.nights_waiting > 0
        found.by_flag.update(patient.flags)
        if patient.is_ranked:
            found.n_ranked += 1
            found.n_max_wait += Flag.MAX_WAIT in patient.flags
            found.by_priority.update(filter(None, [patient.priority]))
            if notes_to_check(patient):
                found.to_check.append(patient)
    return found


def _count_reasons(run: TriageRun, *, skipped: bool) -> dict[Reason, int]:
    return _those_found(Reason, Counter(file.reason for file in run.failures if file.skipped is skipped))


def _those_found(kinds: Iterable[Kind], counter: Counter[Kind]) -> dict[Kind, int]:
    """Select the kinds that occur, in the order of the enumeration."""
    return {kind: counter[kind] for kind in kinds if counter[kind]}


@cache
def _environment() -> Environment:
    made = make_environment(
        _HERE,
        style=_HERE / "page.css",
        scripts=[
            _HERE / "page.js",
            _HERE / "page_patient.js",
            _HERE / "page_round.js",
            _HERE / "page_latest.js",
        ],
    )
    made.filters.update(words=_words, data_uri=_data_uri, duration=_duration)
    made.filters.update(
        percent=state_percent, probability=_probability, capacity_note=capacity_note, sums_note=_sums_note
    )
    made.filters.update(
        choose_columns=choose_columns,
        notes=notes,
        notes_to_check=notes_to_check,
        without=_without,
        folder_name=_folder_name,
    )
    made.globals.update(flag_meaning=FLAG_MEANING, reason_meaning=REASON_MEANING, say=say)
    made.globals.update(script_words={key: TEXTS[key] for key in OF_THE_SCRIPT})
    made.filters.update(json=to_json, details=details)
    return made


def _words(code: StrEnum) -> str:
    return code.replace("_", " ")


def _without(flags: Iterable[Flag], common: Collection[Flag]) -> list[Flag]:
    return [flag for flag in flags if flag not in common]


def _folder_name(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[2] or folder


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _probability(value: float) -> str:
    """Write a percentage, one decimal or more; never 0 or 100, which would look like a rule-out or a certainty."""
    return f"{min(100 * value, 99.9):.1f} %" if value >= 0.01 else f"{100 * value:.2g} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
