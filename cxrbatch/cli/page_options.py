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
)
"""Options of the page of ``cxrbatch screen``."""
