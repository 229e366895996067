"""Commands ``cxrbatch train`` and ``cxrbatch evaluate``."""

from pathlib import Path
from typing import Any

import click

from cxrbatch.cli.log import log_event
from cxrbatch.cli.types import PATH, BundleFolder, NewBundle

_DATA = click.option(
    "--data",
    type=PATH,
    help="Folder with the data sets that the recipe names.  [default: beside the recipe]",
)


@click.command()
@click.argument("recipe", type=PATH)
@click.option("-o", "--out", type=NewBundle(), required=True, help="Folder of the bundle to write.")
@_DATA
@click.option("--log-dir", type=PATH, help="Folder for TensorBoard: the loss of every network.")
@click.option(
    "--no-folds",
    is_flag=True,
    help="Train the network alone and measure nothing: no bands, no probabilities, and reports say so.",
)
@click.option("--fresh", is_flag=True, help="Train again what an earlier run left in the work folder.")
def train(recipe: Path, out: Path, **options: Any) -> int:
    """Train a network by RECIPE and write it as a bundle.

    Finished and half-finished networks are kept in a work folder, the name of the bundle with .work after it. The
    same command after a kill goes on from there, to the same weights; evaluate takes the networks of the folds from
    it. It may be deleted.
    """
    from cxrbatch.infer import start_runtime

    start_runtime()  # before anything else imports TensorFlow, to keep its start-up lines off stderr
    from cxrbatch.training import train_bundle as run_train

    trained = run_train(recipe, out, **options)
    click.echo(trained.worth or "Nothing was measured: what its scores are worth is not known.")
    log_event(f"bundle {trained.id} written to {out}", event="written")
    return 0


@click.command()
@click.argument("bundle_folder", type=BundleFolder(), metavar="BUNDLE")
@click.argument("recipe", type=PATH, required=False)
@click.option("-o", "--out", type=PATH, required=True, help="Folder to write.")
@click.option(
    "--folder",
    type=PATH,
    help="Instead of RECIPE: labelled radiographs as label/image or label/patient/image (docs/data.md).",
)
@_DATA
def evaluate(
    bundle_folder: Path, recipe: Path | None, folder: Path | None, out: Path, data: Path | None
) -> int:
    """Measure what BUNDLE is worth on the sources of RECIPE, or on a labelled folder; default is the one shipped.

    If BUNDLE was trained by RECIPE, its folds are trained again, or taken from the work folder beside it, and every
    source is scored by networks that had seen nothing of it. With another recipe, BUNDLE itself scores the sources
    that took no part in its training. Writes index.html, MODEL_CARD.md, evaluation.json and patients.csv; prints the
    worst figure, what is reached without any image, and what it means.
    """
    from cxrbatch.infer import Precision, start_runtime

    measured_on = recipe or folder
    if measured_on is None or (recipe and folder) or (folder and data):
        raise click.UsageError("Give either RECIPE, perhaps with --data, or --folder.")
    start_runtime(precision=Precision.FLOAT32)
    from cxrbatch.training import measure_bundle, measure_on_folder, summary_lines

    evaluation = (
        measure_bundle(bundle_folder, recipe, out, data)
        if recipe
        else measure_on_folder(bundle_folder, measured_on, out)
    )
    for line in summary_lines(evaluation):
        click.echo(line)
    log_event(f"evaluation written to {out}", event="written")
    return 0
