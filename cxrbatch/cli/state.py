"""Command ``cxrbatch state``."""

import datetime as dt
from pathlib import Path

import click

from cxrbatch._lib.clock import MOST_NIGHTS
from cxrbatch.cli.log import log_event
from cxrbatch.cli.options import state_option
from cxrbatch.cli.types import PATH

NOT_REWRITTEN = (
    "the disk is too full to write the state anew: what was removed is overwritten, and the file keeps its size "
    "until the next cxrbatch state prune"
)
_FEWEST_NIGHTS = 30


@click.group()
def state() -> None:
    """Look after the state: keep it small, back it up."""


@state.command("prune")
@state_option
@click.option(
    "--older-than",
    type=click.IntRange(_FEWEST_NIGHTS, MOST_NIGHTS),
    required=True,
    metavar="NIGHTS",
    help="Remove lists older than this, counted from the last night in the state, and patients gone for as long.",
)
def prune(state: Path, older_than: int) -> int:
    """Remove old lists, and patients who have not been seen since, and write the file anew.

    A patient stays who came in, was listed or was swabbed in the last NIGHTS nights, or of whom a file still lies in
    its folder: it would come in again. The audit then begins with the first list that is left.

    \b
    Exit codes: 0 done · 1 state unusable · 2 wrong usage · 5 a run is at work on the state
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch.errors import UsageProblem
    from cxrbatch.state import persistent_state

    if not state.is_file():
        raise UsageProblem(f"--state {state}: no such file")
    with persistent_state(state) as opened:
        last = opened.last_night()
        if last is None:
            log_event("no night yet; nothing to remove", event="pruned")
            return 0
        before = last - dt.timedelta(days=older_than)
        removed = opened.removal.prune(before)
    if not removed.is_rewritten:
        log_event(NOT_REWRITTEN, event="not_rewritten")
    log_event(
        f"removed what is older than {before}: {removed.n_runs} runs with {removed.n_list_entries} lines of lists, "
        f"{removed.n_patients} patients with {removed.n_images} images and {removed.n_results} results",
        event="pruned",
    )
    return 0


@state.command("backup")
@state_option
@click.option(
    "-o",
    "--out",
    type=PATH,
    required=True,
    metavar="COPY",
    help="File to write, mode 0600; replaced if there.",
)
def backup(state: Path, out: Path) -> int:
    """Copy the state as it is at this moment, also while a run is at work on it; web.sqlite beside it to COPY.web.

    \b
    Exit codes: 0 copied · 1 the state or the copy cannot be used · 2 wrong usage
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch.state import back_up
    from cxrbatch.web import back_up_web

    back_up(state, out)
    log_event(f"state copied to {out}", event="backup")
    web = out.with_name(f"{out.name}.web")
    if back_up_web(state, web):
        log_event(f"web.sqlite copied to {web}", event="backup")
    return 0
