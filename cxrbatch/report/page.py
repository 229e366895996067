"""Render the page of a report: `TriageRun` in, HTML out.

The page is one file. It needs no other file and no network, and works without scripts. Everything that comes from a
file is passed through `cxrbatch._lib.text.visible` and then escaped by Jinja2. A Content-Security-Policy allows only
the page's own style and script, by hash.
"""

import base64
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment

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
    ranked = [patient for patient in run.patients if patient.is_ranked]
    pieces = (
        _environment()
        .get_template("page.html")
        .stream(
            run=run,
            ranked=ranked,
            not_scored=[patient for patient in run.patients if patient.status == "not_scored"],
            swabbed=[patient for patient in run.patients if patient.awaits_result],
            n_max_wait=sum(Flag.MAX_WAIT in patient.flags for patient in ranked),
            n_waiting=sum(patient.nights_waiting > 0 for patient in run.patients),
            n_by_priority=_count(Priority, (patient.priority for patient in ranked)),
            n_by_flag=_count(Flag, (flag for patient in run.patients for flag in patient.flags)),
            n_not_scored=_count(Reason, (failure.reason for failure in run.failures if not failure.skipped)),
            n_skipped=_count(Reason, (failure.reason for failure in run.failures if failure.skipped)),
            todo=_todo(run, len(ranked)),
            sha256=sha256,
            report_id=list(sha256.values())[-1][:16],
            n_printed=_n_printed(run, len(ranked)),
            checks=[(patient, found) for patient in ranked if (found := notes_to_check(patient))],
            bands=_bands(run.thresholds),
            n_urgent_below=_n_urgent_below(run, ranked),
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


def _n_urgent_below(run: TriageRun, ranked: Sequence[PatientTriage]) -> int:
    """Count the urgent patients for whom there is no swab."""
    below = ranked[run.capacity.n_swabs :] if run.capacity else ()
    return sum(patient.priority is Priority.URGENT for patient in below)


def _sums_note(run: TriageRun) -> str:
    ranked = [patient.probability for patient in run.patients if patient.is_ranked]
    probabilities = [probability for probability in ranked if probability is not None]
    return sums_note(run.capacity, probabilities) if run.capacity and probabilities else ""


def _show_title(extras: PageExtras) -> str:
    title = ", ".join(say(f"show_{name}") for name in extras.show)
    return title[:1].upper() + title[1:]


def _count(kinds: Iterable[Kind], values: Iterable[Kind | None]) -> dict[Kind, int]:
    """Count the values that occur, in the order of the enumeration."""
    counter = Counter(values)
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
        choose_columns=choose_columns, notes=notes, without=_without, folder_name=_folder_name
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
