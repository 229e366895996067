"""``cxrbatch screen``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch.cli.log import Level, Log, LogFormat
from cxrbatch.cli.options import (
    EXIT_INCOMPLETE,
    PATH,
    model_kwargs,
    model_options,
    prevalence_of,
    reading_options,
    recipe_option,
)

if TYPE_CHECKING:
    from cxrbatch.records import TriageRun
    from cxrbatch.screening.options import ScreenOptions


@click.command()
@click.argument("folder", type=PATH, required=False)
@recipe_option
@click.option(
    "--out",
    type=PATH,
    help="CSV to write; .files.csv and .html are written beside it.  [required, here or in the recipe]",
)
@model_options
@reading_options
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    help="Images per batch.  [default: 32 on a CPU, 64 on a GPU]",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Reader processes.  [default: one per processor]"
)
@click.option(
    "--decode",
    type=click.Choice(["reduced", "full"]),
    default="reduced",
    show_default=True,
    help="How much of a large radiograph: as many pixels as the network needs, or all, which is slower.",
)
@click.option(
    "--patient-from",
    default="file",
    show_default=True,
    metavar="file|folder|REGEX",
    help="Who the patient of a PNG or JPEG is: the file, its folder, or the group of a regular expression that "
    "is searched in its path. DICOM says it itself.",
)
@click.option(
    "--pseudonymise", type=PATH, metavar="KEYFILE", help="Replace identifiers in the report by keyed hashes."
)
@click.option(
    "--state",
    type=PATH,
    metavar="FILE",
    help="File on a local disk in which nights are remembered: what was judged is not read again, and patients stay "
    "on the list until a PCR result arrives.  [default: each run stands for itself]",
)
@click.option(
    "--rescore/--no-rescore", default=False, help="Read and score again what is remembered.  [default: no]"
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Leave alone, for the next night, files modified less than this ago.",
)
@click.option(
    "--expire",
    type=click.IntRange(min=1),
    default=14,
    show_default=True,
    metavar="NIGHTS",
    help="With --state: after this long without a new image or a PCR result a patient leaves the list.",
)
@click.option(
    "--max-nights",
    type=click.IntRange(min=1),
    metavar="NIGHTS",
    help="With --state: who has waited this long comes first.  [default: nobody]",
)
@click.option(
    "--capacity",
    type=click.IntRange(min=1),
    metavar="K",
    help="Number of swabs there are: draws the line below the first K, and says with --prevalence what they reach.",
)
@click.option(
    "--max-memory",
    metavar="SIZE",
    help="What the run may take in all, such as 4G: fewer reader processes are started if need be, and larger "
    "pictures refused.  [default: a cap for each reader only, docs/limits.md]",
)
@click.option(
    "--limit",
    multiple=True,
    metavar="NAME=VALUE",
    help="What one file may ask for before it is refused: seconds, pixels, file_bytes, ratio, nesting "
    "(docs/limits.md). May be given several times.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines on stderr: for people, or one JSON object each.",
)
def screen(folder: Path | None, out: Path | None, log_format: str, **options: Any) -> int:
    """Score every chest radiograph in FOLDER and write a triage report.

    FOLDER is searched with everything below it, by content and not by file name, and is only read.
    """
    folder, out = _given(folder, "FOLDER"), _given(out, "--out")
    from cxrbatch.screening.run import screen as run_screen

    with_progress = log_format == LogFormat.TEXT and sys.stderr.isatty()
    run = run_screen(folder, out, screen_options(options, show_progress=with_progress))
    code = _exit_code(run)
    log = Log(LogFormat(log_format))
    for warning in run.warnings:
        log(f"Warning: {warning}", event="warning", level=Level.WARNING)
    log(_summary(run, out), event="done", **_counts(run, out), exit_code=code)
    return code


def _given(path: Path | None, what: str) -> Path:
    if path is None:
        raise click.UsageError(f"{what} is missing: give it on the command line or in a recipe.")
    return path


def screen_options(options: dict[str, Any], *, show_progress: bool = False) -> "ScreenOptions":
    """What the command line asks for."""
    from cxrbatch.limits import parse_bytes, parse_limits
    from cxrbatch.read.patient_rule import PatientRule
    from cxrbatch.screening.options import Decode, ScreenOptions

    return ScreenOptions(
        **model_kwargs(options),
        batch_size=options["batch_size"],
        n_workers=options["workers"],
        decode=Decode(options["decode"]),
        patients=PatientRule(options["patient_from"]),
        operating_points=options["operating_points"],
        prevalence=prevalence_of(options["prevalence"]),
        pseudonym_key=options["pseudonymise"],
        state=options["state"],
        rescore=options["rescore"],
        settle_s=options["settle"],
        expire_nights=options["expire"],
        max_nights=options["max_nights"],
        capacity=options["capacity"],
        limits=parse_limits(options["limit"]),
        max_memory_bytes=options["max_memory"] and parse_bytes(options["max_memory"], "--max-memory "),
        show_progress=show_progress,
    )


def _exit_code(run: "TriageRun") -> int:
    """A second copy of a scored image is no image without a score."""
    from cxrbatch.reasons import Reason

    without_score = [
        item for item in run.failures if not item.skipped and item.reason is not Reason.DUPLICATE
    ]
    return EXIT_INCOMPLETE if without_score or not all(patient.is_ranked for patient in run.patients) else 0


def _summary(run: "TriageRun", out: Path) -> str:
    n_ranked = sum(patient.is_ranked for patient in run.patients)
    return (
        f"{run.n_found} files found = {run.n_scored} scored + {run.n_not_scored} not scored"
        f" + {run.n_skipped} skipped; "
        f"{n_ranked} patients ranked, {len(run.patients) - n_ranked} for a human to look at; "
        f"{run.n_found - run.n_remembered} new, {run.n_remembered} remembered; "
        f"{run.duration_s:.1f} s; {out}"
    )


def _counts(run: "TriageRun", out: Path) -> dict[str, Any]:
    """What `_summary` says, for programs."""
    n_ranked = sum(patient.is_ranked for patient in run.patients)
    return {
        "n_found": run.n_found,
        "n_scored": run.n_scored,
        "n_not_scored": run.n_not_scored,
        "n_skipped": run.n_skipped,
        "n_new": run.n_found - run.n_remembered,
        "n_remembered": run.n_remembered,
        "n_ranked": n_ranked,
        "n_for_a_human": len(run.patients) - n_ranked,
        "duration_s": round(run.duration_s, 3),
        "out": str(out),
        "bundle": run.provenance.bundle_id,
    }
