"""Command ``cxrbatch results``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch.cli.log import log_event
from cxrbatch.cli.options import EXIT_INCOMPLETE, state_option
from cxrbatch.cli.state import NOT_REWRITTEN
from cxrbatch.cli.types import PATH

if TYPE_CHECKING:
    from cxrbatch.results import LabFormat
    from cxrbatch.state import Removed


@click.group()
def results() -> None:
    """Work with PCR results."""


@results.command("import")
@click.argument("file", type=PATH)
@state_option
@click.option("--patient-column", default="patient_id", show_default=True, help="Column of the PatientID.")
@click.option("--issuer-column", default="", help="Column of the issuer of the PatientID.  [default: none]")
@click.option(
    "--accession-column",
    default="accession_number",
    show_default=True,
    help="Column of the accession number of the radiograph; '' if the one in FILE is the laboratory's own.",
)
@click.option("--date-column", default="date", show_default=True, help="Column of the day of the swab.")
@click.option(
    "--date-format",
    default="",
    metavar="FORMAT",
    help="How dates are written, such as %d.%m.%Y, as for strptime.  [default: 2026-11-22, a time may follow]",
)
@click.option("--result-column", default="result", show_default=True, help="Column of the result.")
@click.option(
    "--positive",
    multiple=True,
    metavar="WORD",
    help="A further word for positive, beside positive, pos, positiv, detected; case does not matter; repeatable.",
)
@click.option(
    "--negative",
    multiple=True,
    metavar="WORD",
    help="A further word for negative, beside negative, neg, negativ, not detected, undetected; repeatable.",
)
@click.option(
    "--inconclusive",
    multiple=True,
    metavar="WORD",
    help="A further word for neither, which is never stored, beside inconclusive, indeterminate, equivocal, invalid, "
    "presumptive positive; repeatable.",
)
@click.option(
    "--pending",
    multiple=True,
    metavar="WORD",
    help="A further word for a swab whose result is to come, beside swabbed, pending; repeatable.",
)
@click.option(
    "--swabbed",
    is_flag=True,
    help="Every row of FILE names a patient who was swabbed; no column of results is read.",
)
@click.option(
    "--delimiter",
    default="",
    metavar="CHARACTER",
    help="Between the cells; tab for a tab.  [default: comma, semicolon or tab, as the first line has it]",
)
@click.option(
    "--encoding",
    default="utf-8-sig",
    show_default=True,
    help="Encoding of FILE; cp1252 for what Excel on Windows saves as CSV.",
)
@click.option(
    "--test",
    multiple=True,
    metavar="CODE",
    help="A further code of a PCR test for SARS-CoV-2 in HL7 messages (OBX-3), beside LOINC 94500-6, 94309-2, "
    "94759-8, 94565-9, 94845-5, 95406-5, 95608-6; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Show what would become of every row, and store nothing.")
@click.option(
    "-o",
    "--out",
    type=PATH,
    help="CSV to write with all rows.  [default: rows that were not taken, to stdout]",
)
def import_results(file: Path, state: Path, out: Path | None, dry_run: bool, **options: Any) -> int:
    """Take the PCR results of FILE into the state: the CSV that a laboratory exports, or HL7 v2 messages.

    Messages (ORU^R01) may be in a file, or in a folder and the folders below it. They need the extra cxrbatch[hl7].

    A positive or negative result takes the patient off the list; a swab whose result is pending moves the patient
    to the group that waits for its result. Rows are matched to patients exactly; what fits nobody or several,
    contradicts something or is not understood is listed with what to do, and never stored.

    \b
    Exit codes: 0 every row stored or known before · 1 FILE or state unusable · 2 wrong usage, column missing ·
    3 some rows were not taken · 5 a run is at work on the state
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch._lib.atomic import check_places, write_together
    from cxrbatch.results import import_results, rows_csv, summarise_rows

    if out:
        check_places((out,), inputs=(file, state))
    rows = import_results(file, state, _lab_format(options), dry_run=dry_run)
    left_out = [row for row in rows if not row.is_taken]
    if out:
        write_together({out: rows_csv(rows)})
    elif shown := rows if dry_run else left_out:
        click.echo(rows_csv(shown), nl=False)
    log_event(summarise_rows(rows, dry_run=dry_run), event="imported")
    return EXIT_INCOMPLETE if left_out else 0


def _lab_format(options: dict[str, Any]) -> "LabFormat":
    from cxrbatch.results import WORD_OPTIONS, Columns, LabFormat, meanings

    return LabFormat(
        columns=Columns(
            patient_id=options["patient_column"],
            issuer_of_patient_id=options["issuer_column"],
            accession_number=options["accession_column"],
            date=options["date_column"],
            result=options["result_column"],
        ),
        delimiter=options["delimiter"],
        encoding=options["encoding"],
        date_format=options["date_format"],
        words=meanings(
            {answer: options[option.removeprefix("--")] for answer, option in WORD_OPTIONS.items()}
        ),
        tests=options["test"],
        all_swabbed=options["swabbed"],
    )


@results.command("list")
@state_option
def list_imports(state: Path) -> int:
    """List all imports as CSV: when, by whom, SHA-256 of the file, how many rows, and whether it was undone.

    \b
    Exit codes: 0 done · 1 state unusable · 2 wrong usage
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch.results import imports_csv, list_imports

    click.echo(imports_csv(list_imports(state)), nl=False)
    return 0


@results.command("undo")
@click.argument("number", metavar="IMPORT", type=int)
@state_option
def undo(number: int, state: Path) -> int:
    """Take back the IMPORT with this number, from results list; what stood before it stands again.

    The rows stay in the state, and do not count any more. A row that a later file holds too was known and not stored
    again: import that file once more.

    \b
    Exit codes: 0 undone · 1 state unusable · 2 no such import, or undone already · 5 a run is at work on the state
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch.results import undo_import

    found = undo_import(state, number)
    log_event(
        f"import {number} of {found.imported:%Y-%m-%d} undone: {found.n_positive} positive, {found.n_negative} "
        f"negative, {found.n_swabbed} swabbed; import later files once more if they hold the same rows",
        event="undone",
    )
    return 0


@results.command("forget")
@click.argument("patient", metavar="PATIENT")
@state_option
@click.option("--issuer", metavar="NAME", help="Issuer of the PatientID, where several patients have it.")
@click.option(
    "--accession",
    metavar="NUMBER",
    help="Accession number of one of the patient's images, where PATIENT is a placeholder such as ANONYMOUS.",
)
@click.option("--dry-run", is_flag=True, help="Only say whether there is one such patient; remove nothing.")
def forget(patient: str, state: Path, issuer: str | None, accession: str | None, dry_run: bool) -> int:
    """Remove the person with the PatientID PATIENT from the state: images, thumbnails, results and lines of lists.

    PATIENT is as in the header, or as the report writes it; write -- before one that begins with a minus.
    Uploads of that person in web.sqlite beside the state go too.

    What went is written to stdout. Files in the export, reports and backups are not touched: a file that is still in
    the export comes in again.

    \b
    Exit codes: 0 removed · 1 state unusable · 2 nobody, or several patients · 5 a run is at work on the state
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch.results import forget_patient, is_known
    from cxrbatch.web import forget_in_web

    uploaded = 0 if accession else forget_in_web(state, patient, issuer, dry_run=True)
    removed = None
    if accession or is_known(state, patient, issuer) or not uploaded:
        removed = forget_patient(state, patient, issuer, accession, dry_run=dry_run)
    if dry_run:
        log_event("dry run: there is one such patient; nothing was removed", event="forgotten")
        return 0
    if removed:
        _say_removed(removed)
    if uploaded:
        n = forget_in_web(state, patient, issuer)
        click.echo(f"removed from web.sqlite: {n} uploaded images and marks")
    log_event(
        "one patient removed; reports and backups that name the patient are yours to delete",
        event="forgotten",
    )
    return 0


def _say_removed(removed: "Removed") -> None:
    from cxrbatch._lib.text import visible

    click.echo(
        f"removed: {removed.n_images} images with {removed.n_thumbnails} thumbnails, {removed.n_results} results, "
        f"{removed.n_list_entries} lines of lists"
    )
    for path in removed.files:
        click.echo(f"still in the export, and comes in again unless you take it away: {visible(str(path))}")
    if not removed.is_rewritten:
        log_event(NOT_REWRITTEN, event="not_rewritten")
