"""Command ``cxrbatch bundle``."""

from pathlib import Path
from typing import Any

import click

from cxrbatch.cli.log import log_event
from cxrbatch.cli.options import EXIT_INCOMPLETE
from cxrbatch.cli.types import PATH, SHIPPED, BundleFolder, NewBundle


@click.group()
def bundle() -> None:
    """Work with model bundles."""


@bundle.command("import")
@click.argument("model", type=PATH)
@click.option("-o", "--out", type=NewBundle(), required=True, help="Folder of the bundle to write.")
@click.option("--force", is_flag=True, help="Replace the bundle that is there already.")
@click.option(
    "--labels",
    required=True,
    metavar="A,B[,C…]",
    help="What the outputs stand for, in their order: covid, pneumonia, normal; several may be one finding, and "
    "ignore drops an output. For a single output: class 0, then class 1, which it scores.",
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
def import_model(model: Path, out: Path, name: str | None, *, force: bool, **options: Any) -> int:
    """Make a bundle of a Keras model (.h5, .keras) that was made elsewhere, with Keras 2 or 3.

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
    imported = import_bundle(model, out, spec, name or "", replace=force)
    log_event(
        f"bundle {imported.id} written to {out}; nothing was measured of it: cxrbatch evaluate does",
        event="written",
    )
    return 0


@bundle.command("convert")
@click.argument("bundle_folder", type=BundleFolder(), metavar="[BUNDLE]", default=SHIPPED)
@click.option("--out", type=NewBundle(), required=True, help="Folder of the bundle to write.")
@click.option("--force", is_flag=True, help="Replace the bundle that is there already.")
def convert_command(bundle_folder: Path, out: Path, *, force: bool) -> int:
    """Write BUNDLE once more, with its network for LiteRT beside the original; without BUNDLE, the shipped one.

    Scores of test images must be the same in both to 1e-5. The new bundle has another hash, so that a state reads
    files again, and operating points measured for the old one are refused.
    """
    from cxrbatch.infer import Device, start_runtime

    start_runtime(Device.CPU)  # before anything else imports TensorFlow
    from cxrbatch.bundle import convert_bundle, load_bundle

    converted = convert_bundle(load_bundle(bundle_folder), out, replace=force)
    log_event(f"bundle {converted.id} written to {out}; it runs on TensorFlow and LiteRT", event="written")
    return 0


@bundle.command("list")
@click.argument("folder", type=PATH, default=".")
def list_command(folder: Path) -> int:
    """List the bundle that is shipped and those in FOLDER, the current one by default: a line for each.

    Name or path, name and start of the hash, size of the input, bands. Exit code 3 if one of them is broken.
    """
    from cxrbatch._lib.text import visible
    from cxrbatch.bundle import DEFAULT_BUNDLE, find_bundles, table_row

    code = 0
    for name, path in ((SHIPPED, DEFAULT_BUNDLE), *((str(path), path) for path in find_bundles(folder))):
        columns, is_whole = table_row(path)
        click.echo("\t".join(map(visible, (name, *columns))))
        code = code if is_whole else EXIT_INCOMPLETE
    return code


@bundle.command("show")
@click.argument("bundle_folder", type=BundleFolder(), metavar="[BUNDLE]", default=SHIPPED)
def show_command(bundle_folder: Path) -> int:
    """Show what a bundle is and what is known of it; without BUNDLE, the one that is shipped."""
    from cxrbatch._lib.text import visible
    from cxrbatch.bundle import describe, load_bundle

    for key, value in describe(load_bundle(bundle_folder)):
        click.echo(f"{key}: {visible(value)}")
    return 0
