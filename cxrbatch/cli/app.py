"""Collect all commands, and turn their errors into one line and an exit code."""

import logging
import os
import signal
import sys
import time
from typing import Any

import click

from cxrbatch._lib.crash_output import suppress_library_output
from cxrbatch._lib.version import __version__
from cxrbatch.cli.audit import audit
from cxrbatch.cli.bundle import bundle
from cxrbatch.cli.doctor import doctor
from cxrbatch.cli.embed import embed
from cxrbatch.cli.log import format_of, log_failure, log_options, log_wrong_usage, show_log
from cxrbatch.cli.metrics import metrics_of
from cxrbatch.cli.predict import predict
from cxrbatch.cli.results import results
from cxrbatch.cli.screen import screen
from cxrbatch.cli.serve import serve
from cxrbatch.cli.state import state
from cxrbatch.cli.training import evaluate, train
from cxrbatch.errors import CxrbatchError

EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Commands that end with one line when they are interrupted; click alone would write an empty line before it."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise click.Abort from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Rank patients by the COVID-19 score of their chest radiographs, so that the likeliest are swabbed first.

    Scores set priorities. A low score is never a rule-out.

    \b
    Exit codes: 0 every image scored · 1 the run failed · 2 wrong usage ·
    3 done, but some files were not scored · 4 no image found ·
    5 another run is at work
    """  # noqa: D301 - \b keeps click from re-wrapping
    show_log(level=logging.INFO)


def _add(group: click.Group, command: click.Command) -> None:
    """Add a command, and give the log options to it, or to the commands of a group."""
    group.add_command(command)
    leaves = command.commands.values() if isinstance(command, click.Group) else (command,)
    for leaf in leaves:
        leaf.params += log_options()


for _command in (screen, predict, embed, serve, results, state, audit, doctor, train, evaluate, bundle):
    _add(cli, _command)


def main() -> None:
    """Run the command line, and turn errors into one line and an exit code."""
    suppress_library_output()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop by systemd is handled like Ctrl-C
    started, log_format = time.monotonic(), format_of(sys.argv[1:])
    show_log(log_format)
    metrics = metrics_of(sys.argv[1:])
    try:
        code = cli.main(prog_name="cxrbatch", standalone_mode=False, obj=metrics)
    except click.ClickException as error:
        code = log_wrong_usage(error, started, log_format)
    except (click.Abort, KeyboardInterrupt):
        line = "interrupted; no result was written"
        code = log_failure(line, EXIT_INTERRUPTED, started, event="interrupted")
    except CxrbatchError as error:
        code = log_failure(f"Error: {error}", error.exit_code, started, error=type(error).__name__)
    except BrokenPipeError:
        code = log_failure("Error: whoever reads the output has ended", 1, started, event="broken_pipe")
    except ImportError as error:
        line = f"Error: {error.name or 'a package'} cannot be imported; install cxrbatch again, with pip"
        code = log_failure(line, 1, started, error=type(error).__name__)
    except Exception as error:
        # The message may hold patient data; the type and the place of the error do not.
        if os.environ.get("CXRBATCH_DEBUG"):
            raise
        kind = type(error).__name__
        line = f"Error: internal error ({kind}); set CXRBATCH_DEBUG=1 to see where, and report it"
        code = log_failure(line, 1, started, event="internal_error", error=kind)
    _flush_stdout()
    metrics.write(code or 0)
    sys.exit(code or 0)


def _flush_stdout() -> None:
    """Write what is left to stdout, or drop it where nobody takes it: Python would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
