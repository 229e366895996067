"""Command ``cxrbatch predict``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch.cli.options import EXIT_INCOMPLETE, EXIT_ZERO, MEANING, MODEL, WORDS, engine_options, prevalence
from cxrbatch.cli.types import PATH

if TYPE_CHECKING:
    from cxrbatch.bundle import Bundle
    from cxrbatch.explain import Explanation
    from cxrbatch.records import Outcome

Predicted = Iterator[tuple["Outcome", "Explanation | None"]]


@click.command(
    params=[
        click.Argument(["images"], type=PATH, nargs=-1, required=True, metavar="IMAGE..."),
        click.Option(
            ["-o", "--out"],
            type=PATH,
            help="Folder for the images with their results written on them, and maps of where the network looked "
            "beside them.",
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            help="Print one JSON object for each image, with maps and the share of the evidence outside the lungs.",
        ),
        click.Option(
            ["--open", "show"],
            is_flag=True,
            help="With --out: show each image in the viewer of this desktop, where there is a display.",
        ),
        *MODEL,
        *MEANING,
        *WORDS,
        EXIT_ZERO,
    ]
)
def predict(
    images: tuple[Path, ...],
    out: Path | None,
    as_json: bool,
    show: bool,
    exit_zero_if_unscored: bool,
    **stated: Any,
) -> int:
    """Score single images and print one line for each: file, status, the three scores or the reason, flags.

    --operating-points adds the priority to a line, --prevalence the probability.
    """
    _check_usage(images, out, show=show)
    from cxrbatch.bundle import choose_bundle
    from cxrbatch.cli.prediction_output import json_line, prediction_line
    from cxrbatch.prediction import result_names, save_annotated
    from cxrbatch.records import Failure

    share = prevalence(stated)
    bundle = choose_bundle(stated["bundle"], stated["operating_points"], share)
    points = bundle.operating_points if stated["operating_points"] else None
    n_failed = 0
    predicted = _predicted(images, bundle, stated, with_maps=as_json or out is not None)
    for path, name, (outcome, explanation) in zip(images, result_names(images), predicted, strict=True):
        if as_json:
            click.echo(json_line(path, outcome, explanation, bundle, points, share))
        else:
            click.echo(prediction_line(path, outcome, bundle, points, share))
        n_failed += isinstance(outcome, Failure)
        if out:
            save_annotated(outcome, path, out / name, explanation, bundle)
        if out and show:
            _show(out / name)
    return EXIT_INCOMPLETE if n_failed and not exit_zero_if_unscored else 0


def _predicted(
    images: tuple[Path, ...], bundle: "Bundle", stated: dict[str, Any], *, with_maps: bool
) -> Predicted:
    from cxrbatch.prediction import predict as run_predict
    from cxrbatch.prediction import predict_explained

    options = engine_options(stated)
    if with_maps:
        return predict_explained(images, bundle, options, stated["header_words"])
    return ((outcome, None) for outcome in run_predict(images, bundle, options, stated["header_words"]))


def _show(path: Path) -> None:
    from cxrbatch.cli.desktop import open_in_viewer

    if not open_in_viewer(path):
        click.echo(f"--open: no display or no viewer here; the image is {path}", err=True)


def _check_usage(images: tuple[Path, ...], out: Path | None, *, show: bool) -> None:
    """Refuse a folder alone; among images, as in ``predict export/*``, it costs its own line only."""
    from cxrbatch.errors import UsageProblem

    if all(path.is_dir() for path in images):
        raise UsageProblem(
            f"{images[0]}: is a folder; give images, or screen all in it: cxrbatch screen FOLDER --out report.csv"
        )
    if show and not out:
        raise UsageProblem("--open: shows what --out writes; give --out DIR too")
