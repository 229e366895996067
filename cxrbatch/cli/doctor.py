"""Command ``cxrbatch doctor``."""

from typing import Any

import click

from cxrbatch.cli.options import MODEL, SCREEN, WORDS, screen_options
from cxrbatch.cli.recipe import recipe_option
from cxrbatch.cli.types import PATH, STDOUT


@click.command(
    params=[
        SCREEN[0],
        recipe_option(),
        click.Option(
            ["-o", "--out"], type=PATH, help="The CSV that screen is to write, or the folder of all reports."
        ),
        click.Option(["--state"], type=PATH, metavar="FILE", help="What cxrbatch screen --state remembers."),
        *MODEL,
        *WORDS,
        click.Option(
            ["--format", "shape"],
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="A table for people, or one JSON object.",
        ),
    ]
)
def doctor(shape: str, **stated: Any) -> int:
    """Say whether a night would run here, and what to do where not: problems first. Nothing is changed.

    Looks at the packages, the bundle and its hash, the words of the hospital, the device, every decoder, worker
    processes, the export in FOLDER, the place of the report, the state (integrity, rights, clock, lock, disk), and
    the recipe itself. What is not named, here or in the recipe, is left out. Run it as the user who runs the night.

    \b
    Exit codes: 0 no problem · 1 a problem · 2 wrong usage or recipe
    """  # noqa: D301 - \b keeps click from re-wrapping
    from cxrbatch.doctor import Setup, as_json, as_text, examine, is_healthy

    from_recipe = click.get_current_context().default_map
    night = click.Command("screen", params=list(SCREEN))
    night_options = night.make_context("screen", [], default_map=from_recipe).params | stated
    out = None if night_options["out"] == STDOUT else night_options["out"]
    setup = Setup(
        folder=night_options["folder"],
        out=out,
        options=screen_options(night_options),
        metrics=night_options["metrics"],
        notify=night_options["notify"],
    )
    observations = list(examine(setup))
    click.echo((as_json if shape == "json" else as_text)(observations))
    return 0 if is_healthy(observations) else 1
