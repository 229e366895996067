"""Command ``cxrbatch serve``."""

import tempfile
from pathlib import Path
from typing import Any

import click

from cxrbatch.cli.execution import EXECUTION
from cxrbatch.cli.options import LIMITS, MODEL, WORDS, engine_options
from cxrbatch.cli.types import PATH


@click.command(
    params=[
        click.Option(["--state"], type=PATH, metavar="FILE", help="What cxrbatch screen --state remembers."),
        click.Option(
            ["--demo"],
            type=PATH,
            metavar="FOLDER",
            help="Screen FOLDER into a temporary state and show it without login, on this machine only.",
        ),
        click.Option(["--host"], default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.Option(
            ["--port"],
            type=click.IntRange(0, 65535),
            default=8000,
            show_default=True,
            help="0 takes a free one.",
        ),
        click.Option(
            ["--url"],
            default="",
            metavar="URL",
            help="https://… under which a proxy with TLS serves the pages.",
        ),
        click.Option(
            ["--capacity"],
            type=click.IntRange(min=1),
            metavar="K",
            help="Draw the line below the first K patients.",
        ),
        click.Option(
            ["--keep-uploads"],
            type=PATH,
            metavar="DIR",
            help="Keep uploaded files there.  [default: they are deleted after their result]",
        ),
        click.Option(
            ["--max-queue"],
            type=click.IntRange(min=1),
            default=2000,
            show_default=True,
            metavar="N",
            help="Images that may wait for their result; more are refused.",
        ),
        click.Option(
            ["--max-upload"],
            default="1G",
            show_default=True,
            metavar="SIZE",
            help="Largest file, archive or form that is taken.",
        ),
        *MODEL,
        *WORDS,
        *EXECUTION,
        *LIMITS,
    ]
)
def serve(**stated: Any) -> int:
    """Serve pages for a browser: upload radiographs, read the night's list, enter swabs and results.

    Listens on this machine only, unless --host and --url say otherwise. With no user yet it prints a link, once, by
    which the first admin sets a password. Needs pip install 'cxrbatch[web]'.
    """
    if (stated["state"] is None) == (stated["demo"] is None):
        raise click.UsageError("give either --state FILE or --demo FOLDER")
    if stated["state"]:
        _serve(stated["state"], stated)
        return 0
    with tempfile.TemporaryDirectory(prefix="cxrbatch-demo-", ignore_cleanup_errors=True) as folder:
        _serve(Path(folder) / "state.sqlite", stated)
    return 0


def _serve(state: Path, stated: dict[str, Any]) -> None:
    from cxrbatch.limits import parse_bytes
    from cxrbatch.web import ServeOptions
    from cxrbatch.web import serve as run_server

    options = ServeOptions(
        state=state,
        bundle=stated["bundle"],
        engine=engine_options(stated),
        header_words=stated["header_words"],
        host=stated["host"],
        port=stated["port"],
        url=stated["url"],
        demo=stated["demo"],
        capacity=stated["capacity"],
        keep_uploads=stated["keep_uploads"],
        max_queue=stated["max_queue"],
        max_upload_bytes=parse_bytes(stated["max_upload"], "--max-upload "),
    )
    run_server(options, click.echo)
