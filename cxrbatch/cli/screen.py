"""Command ``cxrbatch screen``."""

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from cxrbatch.cli.log import LogFormat, is_shown, log_event, log_for_people, show_log
from cxrbatch.cli.metrics import RunMetrics
from cxrbatch.cli.options import EXIT_INCOMPLETE, SCREEN, screen_options
from cxrbatch.cli.recipe import recipe_option
from cxrbatch.cli.types import STDOUT

if TYPE_CHECKING:
    from cxrbatch.records import Place, TriageRun


@click.command(params=[SCREEN[0], recipe_option(), *SCREEN[1:]])
def screen(
    folder: "Place | None", out: Path | None, log_format: str, exit_zero_if_unscored: bool, **stated: Any
) -> int:
    """Score every chest radiograph in FOLDER and write a triage report.

    FOLDER is searched with everything below it, by content and not by file name, and is only read. It may be
    s3://BUCKET/PREFIX, with the extra cxrbatch[cluster].
    """
    if folder is None or out is None:
        raise _missing("--out" if folder else "FOLDER")
    if stated["notify"] and out == STDOUT:
        raise click.UsageError("--notify: no list is kept with --out -.")
    from cxrbatch.screening import screen as run_screen

    show_log(LogFormat(log_format))
    metrics = click.get_current_context().ensure_object(RunMetrics)
    metrics.check_place(folder)
    with_progress = log_format == LogFormat.TEXT and is_shown(logging.INFO) and sys.stderr.isatty()
    place: Path | BinaryIO = sys.stdout.buffer if out == STDOUT else out
    metrics.run = run = run_screen(folder, place, screen_options(stated, show_progress=with_progress))
    code = 0 if exit_zero_if_unscored else _exit_code(run)
    facts = _counts(run, out) | {"exit_code": code}
    if stated["notify"]:
        from cxrbatch.cli.notify import notify

        notify(stated["notify"], facts)
    for warning in run.warnings:
        log_event(warning, event="warning", level=logging.WARNING)
    log_event(_summary(run, out), event="done", **facts)
    for line in _details(run, out):
        log_for_people(line)
    return code


def _missing(what: str) -> click.UsageError:
    return click.UsageError(f"{what} is missing: give it on the command line or in a recipe.")


def _exit_code(run: "TriageRun") -> int:
    """Choose the exit code; a second copy of a scored image does not count as an image without a score."""
    from cxrbatch.reasons import Reason

    is_incomplete = any(not item.skipped and item.reason is not Reason.DUPLICATE for item in run.failures)
    return EXIT_INCOMPLETE if is_incomplete or run.n_patients("not_scored") else 0


def _summary(run: "TriageRun", out: Path) -> str:
    swabbed = f", {n} waiting for a result" if (n := run.n_patients("swabbed")) else ""
    return (
        f"{run.n_found} files found = {run.n_scored} scored + {run.n_not_scored} not scored"
        f" + {run.n_skipped} skipped; "
        f"{run.n_patients('ranked')} patients ranked, {run.n_patients('not_scored')} for a human to look at"
        f"{swabbed}; "
        f"{run.n_found - run.n_remembered} new, {run.n_remembered} remembered; "
        f"{run.duration_s:.1f} s; {out}"
    )


def _details(run: "TriageRun", out: Path) -> Iterator[str]:
    """Say what people want to know after the counts: the reasons by count, and which page to open."""
    if reasons := _reasons(run):
        yield "Not scored: " + ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    if page := _page(out):
        yield f"Page: {page}"


def _reasons(run: "TriageRun") -> dict[str, int]:
    """Count the files without a score by their reason, the most frequent first."""
    found = Counter(str(failure.reason) for failure in run.failures if not failure.skipped)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _page(out: Path) -> Path | None:
    return None if out == STDOUT else out.with_suffix(".html")


def _counts(run: "TriageRun", out: Path) -> dict[str, Any]:
    """Make the counts of `_summary`, for programs."""
    return {
        "n_found": run.n_found,
        "n_scored": run.n_scored,
        "n_not_scored": run.n_not_scored,
        "n_skipped": run.n_skipped,
        "n_new": run.n_found - run.n_remembered,
        "n_remembered": run.n_remembered,
        "n_ranked": run.n_patients("ranked"),
        "n_for_a_human": run.n_patients("not_scored"),
        "n_waiting_for_result": run.n_patients("swabbed"),
        "reasons": _reasons(run),
        "duration_s": round(run.duration_s, 3),
        "out": str(out),
        "page": str(_page(out) or ""),
        "bundle": run.provenance.bundle_id,
    }
