"""``cxrbatch predict``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch.cli.options import (
    EXIT_INCOMPLETE,
    PATH,
    model_kwargs,
    model_options,
    prevalence_of,
    reading_options,
)

if TYPE_CHECKING:
    from cxrbatch.bundle.bundle import Bundle, OperatingPoints
    from cxrbatch.records import Failure, ImageScore


@click.command()
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", type=PATH, help="Folder for the pictures with their results written on them.")
@model_options
@reading_options
def predict(images: tuple[Path, ...], out: Path | None, **options: Any) -> int:
    """Score single images and print one line for each: file, status, the three scores or the reason, flags.

    --operating-points adds the priority to a line, --prevalence the probability.
    """
    from cxrbatch.bundle.operating_points import choose_bundle
    from cxrbatch.prediction import predict as run_predict
    from cxrbatch.prediction import result_names, save_annotated
    from cxrbatch.records import Failure

    kwargs = model_kwargs(options)
    prevalence = prevalence_of(options["prevalence"])
    bundle = choose_bundle(kwargs.pop("bundle"), options["operating_points"], prevalence)
    points = bundle.operating_points if options["operating_points"] else None
    n_failed = 0
    for path, name, result in zip(
        images, result_names(images), run_predict(images, bundle, **kwargs), strict=True
    ):
        click.echo(_prediction_line(path, result) + _reading(result, bundle, points, prevalence))
        n_failed += isinstance(result, Failure)
        if out:
            save_annotated(result, path, out / name)
    return EXIT_INCOMPLETE if n_failed else 0


def _reading(
    result: "ImageScore | Failure",
    bundle: "Bundle",
    points: "OperatingPoints | None",
    prevalence: float | None,
) -> str:
    """What was asked to be said of a score, each in a column of its own."""
    from cxrbatch.records import ImageScore

    if not isinstance(result, ImageScore):
        return ""
    covid = result.scores[0]
    priority = f"\tpriority={points.priority(covid)}" if points else ""
    return priority + (f"\tprobability={bundle.probability(covid, prevalence):.6f}" if prevalence else "")


def _prediction_line(path: Path, result: "ImageScore | Failure") -> str:
    from cxrbatch._lib.text import visible
    from cxrbatch.records import FINDINGS, ImageScore

    name = visible(str(path))  # one line for each image, whatever its name holds
    if not isinstance(result, ImageScore):
        return f"{name}\tnot_scored\t{result.reason}\t{result.detail}"
    scores = "\t".join(
        f"{finding}={score:.6f}" for finding, score in zip(FINDINGS, result.scores, strict=True)
    )
    return f"{name}\tscored\t{scores}\t{';'.join(sorted(result.flags))}"
