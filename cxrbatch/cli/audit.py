"""Command ``cxrbatch audit``."""

from pathlib import Path
from typing import Any

import click

from cxrbatch.cli.log import log_event
from cxrbatch.cli.options import EXIT_INCOMPLETE, state_option
from cxrbatch.cli.types import PATH, SHIPPED, BundleFolder


@click.command()
@state_option
@click.option("-o", "--out", type=PATH, required=True, help="CSV to write; .html is written beside it.")
@click.option(
    "--capacity",
    type=click.IntRange(1),
    metavar="K",
    help="Swabs a night: what the first K of each list held.  [default: nothing is said of them]",
)
@click.option(
    "--bundle",
    type=BundleFolder(),
    default=SHIPPED,
    show_default=True,
    help="Bundle whose scores are measured, default is the one shipped; those of others are left out.",
)
@click.option(
    "--recommend-sensitivity",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Share of the PCR-positive patients that the recommended threshold must find.",
)
@click.option(
    "--write-operating-points",
    type=PATH,
    metavar="FILE",
    help="Write the recommended threshold for screen --operating-points, if there are enough results.",
)
def audit(state: Path, out: Path, write_operating_points: Path | None, **options: Any) -> int:
    """Find out, by the PCR results that came back, what the list was worth at this hospital.

    Reads the state and changes nothing in it. Prints what the figures mean, the worst first. No patient is named in
    either file. Exit code 3: done, but there are too few results for the operating points asked for.
    """
    from cxrbatch.audit import audit as run_audit
    from cxrbatch.audit import check_out, summarise, write_audit, write_recommended
    from cxrbatch.bundle import load_bundle

    check_out(out)
    audited = run_audit(
        state,
        load_bundle(options["bundle"]),
        capacity=options["capacity"],
        sensitivity=options["recommend_sensitivity"],
    )
    write_audit(audited, out)
    for sentence in summarise(audited):
        click.echo(sentence)
    log_event(
        f"audit of {audited.n_nights} night{'s' if audited.n_nights != 1 else ''} written to {out}",
        event="written",
    )
    if write_operating_points and not write_recommended(audited, write_operating_points):
        log_event(
            f"{write_operating_points}: not written, because there are too few results", event="not_written"
        )
        return EXIT_INCOMPLETE
    return 0
