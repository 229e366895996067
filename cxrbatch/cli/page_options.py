"""Declare the options of the page of a report."""

import click

from cxrbatch._lib.ranges import EXPLAINED, MOST_EXPLAINED, SHOWABLE
from cxrbatch.cli.types import Names

PAGE = (
    click.Option(
        ["--explain"],
        type=click.IntRange(0, MOST_EXPLAINED),
        default=EXPLAINED,
        show_default=True,
        metavar="N",
        help="Patients for whom the page shows a large image, and where the network looked.",
    ),
    click.Option(
        ["--show"],
        type=Names(SHOWABLE),
        default="",
        metavar=",".join(SHOWABLE),
        help="What the page, and nothing else, shows of the headers of files that are still there, for use at the "
        "bedside.  [default: nothing]",
    ),
    click.Option(
        ["--viewer-url"],
        metavar="URL",
        help="Address of the hospital's viewer, to which the page links each patient, such as "
        "'https://pacs.example/study/{accession_number}'; also {patient_id}, {issuer_of_patient_id}, "
        "{study_instance_uid}.  [default: no links]",
    ),
    click.Option(
        ["--viewer-scheme"],
        default="https",
        show_default=True,
        metavar="NAME",
        help="What --viewer-url begins with, if not https; never javascript or data.",
    ),
    click.Option(
        ["--latest/--no-latest"],
        default=False,
        help="Keep latest.html beside the report, which always shows the newest list (docs/operations.md).  "
        "[default: no]",
    ),
)
"""Options of the page of ``cxrbatch screen``."""
