"""Command ``cxrbatch bundle``."""

from pathlib import Path
from typing import Any

import click

from cxrbatch.cli.log import log_event
from cxrbatch.cli.options import PATH


@click.group()
def bundle() -> None:
    """Work with model bundles."""


@bundle.command("import")
@click.argument("model", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder of the bundle to write.")
@click.option(
    "--labels",
    required=True,
    metavar="A,B[,C]",
    help="What the outputs stand for, in their order: covid, pneumonia, normal. For a single output: class 0, then "
    "class 1, which it scores.",
)
@click.option("--name", help="Of the bundle.  [default: that of the file]")
@click.option(
    "--pixels",
    type=click.Choice(["0-255", "0-1", "-1-1"]),
    default="0-255",
    show_default=True,
    help="Range of pixel values with which the network was trained.",
)
@click.option("--size", metavar="HxW", help="Size of its input in pixels.  [default: the model's own]")
@click.option(
    "--resize",
    type=click.Choice(["linear", "nearest", "area"]),
    default="linear",
    show_default=True,
    help="How images were brought to that size: linear as cv2.resize, nearest as Keras' load_img, area as here.",
)
@click.option(
    "--activation",
    type=click.Choice(["auto", "none", "softmax", "sigmoid"]),
    default="auto",
    show_default=True,
    help="What makes scores of the outputs; auto goes by the last layer.",
)
def import_model(model: Path, out: Path, name: str | None, **options: Any) -> int:
    """Make a bundle of a Keras model (.h5, .keras) that was made elsewhere.

    The network sees each radiograph resized, grey, in all its channels, with nothing normalised or cut off. Models
    with layers that carry code are refused. Nothing is measured: the list of such a bundle has an order, no bands.
    """
    from cxrbatch.infer import Device, start_runtime

    start_runtime(
        Device.CPU
    )  # before anything else imports TensorFlow, to keep its start-up lines off stderr
    from cxrbatch.bundle import ImportSpec, OutputActivation, Pixels, import_bundle, parse_size

    spec = ImportSpec(
        labels=tuple(label.strip().lower() for label in options["labels"].split(",")),
        pixels=Pixels(options["pixels"]),
        size=parse_size(options["size"]) if options["size"] else None,
        resize=options["resize"],
        activation=OutputActivation(options["activation"]),
    )
    imported = import_bundle(model, out, spec, name or "")
    log_event(
        f"bundle {imported.id} written to {out}; nothing was measured of it: cxrbatch evaluate does",
        event="written",
    )
    return 0
