"""Options and words that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

EXIT_INCOMPLETE = 3
"""Done, but something was left out: files without a score, rows that fit nobody."""

PATH = click.Path(path_type=Path)
_DEVICES = click.Choice(["auto", "cpu", "gpu"])
_PRECISIONS = click.Choice(["auto", "float32", "mixed_float16", "mixed_bfloat16"])


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that scores."""
    options = (
        click.option("--bundle", type=PATH, help="Folder of the model bundle.  [default: the one shipped]"),
        click.option(
            "--device", type=_DEVICES, default="auto", show_default=True, help="Where the network runs."
        ),
        click.option(
            "--precision",
            type=_PRECISIONS,
            default="auto",
            show_default=True,
            help="Arithmetic; auto is float32 on a CPU and mixed_float16 on a GPU.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that says what a score means."""
    options = (
        click.option(
            "--operating-points",
            type=PATH,
            metavar="FILE",
            help="Least scores of the bands, measured for this very bundle.  [default: those of the bundle]",
        ),
        click.option(
            "--prevalence",
            metavar="SHARE",
            help="Share of tonight's patients expected to have COVID-19 (0.05, 5%): gives probabilities beside the "
            "scores. The order stays the same.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


state_option = click.option(
    "--state", type=PATH, required=True, metavar="FILE", help="What cxrbatch screen --state remembers."
)


def _take_defaults(context: click.Context, _: click.Parameter, recipe: Path | None) -> None:
    """Make a recipe the defaults of the other options: they are checked where those of the command line are."""
    if recipe:
        from cxrbatch.cli.recipe import screen_defaults

        context.default_map = screen_defaults(recipe)


recipe_option = click.option(
    "--recipe",
    type=PATH,
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_take_defaults,
    help="TOML that may set FOLDER and every option of screen; what the command line says wins.",
)


def say(line: str) -> None:
    """Write a line to stderr."""
    click.echo(line, err=True)


def model_kwargs(options: dict[str, Any]) -> dict[str, Any]:
    """What `model_options` ask for, as arguments."""
    from cxrbatch.bundle.bundle import DEFAULT_BUNDLE
    from cxrbatch.infer.runtime import Device, Precision

    return {
        "bundle": options["bundle"] or DEFAULT_BUNDLE,
        "device": Device(options["device"]),
        "precision": Precision(options["precision"]),
    }


def prevalence_of(text: str | None) -> float | None:
    """What ``--prevalence`` states; see `cxrbatch.triage.probability.parse_prevalence`."""
    from cxrbatch.triage.probability import parse_prevalence

    return None if text is None else parse_prevalence(text)
