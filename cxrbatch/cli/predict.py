"""Command ``cxrbatch predict``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch.cli.options import EXIT_INCOMPLETE, EXIT_ZERO, MEANING, MODEL, WORDS, engine_options, prevalence
from cxrbatch.cli.types import PATH

if TYPE_CHECKING:
    from cxrbatch.bundle import Bundle, OperatingPoints
    from cxrbatch.records import Outcome


@click.command(
    params=[
        click.Argument(["images"], type=PATH, nargs=-1, required=True, metavar="IMAGE..."),
        click.Option(
            ["-o", "--out"], type=PATH, help="Folder for the images with their results written on them."
        ),
        *MODEL,
        *MEANING,
        *WORDS,
        EXIT_ZERO,
    ]
)
def predict(images: tuple[Path, ...], out: Path | None, exit_zero_if_unscored: bool, **stated: Any) -> int:
    """Score single images and print one line for each: file, status, the three scores or the reason, flags.

    --operating-points adds the priority to a line, --prevalence the probability.
    """
    _check_images(images)
    from cxrbatch.bundle import choose_bundle
    from cxrbatch.prediction import predict as run_predict
    from cxrbatch.prediction import result_names, save_annotated
    from cxrbatch.records import Failure

    share = prevalence(stated)
    bundle = choose_bundle(stated["bundle"], stated["operating_points"], share)
    points = bundle.operating_points if stated["operating_points"] else None
    outcomes = run_predict(images, bundle, engine_options(stated), stated["header_words"])
    n_failed = 0
    for path, name, outcome in zip(images, result_names(images), outcomes, strict=True):
        click.echo(_prediction_line(path, outcome) + _meaning(outcome, bundle, points, share))
        n_failed += isinstance(outcome, Failure)
        if out:
            save_annotated(outcome, path, out / name)
    return EXIT_INCOMPLETE if n_failed and not exit_zero_if_unscored else 0


def _check_images(images: tuple[Path, ...]) -> None:
    """Refuse a folder alone; among images, as in ``predict export/*``, it costs its own line only."""
    from cxrbatch.errors import UsageProblem

    if all(path.is_dir() for path in images):
        raise UsageProblem(
            f"{images[0]}: is a folder; give images, or screen all in it: cxrbatch screen FOLDER --out report.csv"
        )


def _meaning(
    outcome: "Outcome", bundle: "Bundle", points: "OperatingPoints | None", share: float | None
) -> str:
    """Write priority and probability of a score, if requested, each in its own column."""
    from cxrbatch.records import ImageScore

    if not isinstance(outcome, ImageScore):
        return ""
    covid = outcome.scores[0]
    priority = f"\tpriority={points.priority(covid)}" if points else ""
    return priority + (f"\tprobability={bundle.probability(covid, share):.6f}" if share else "")


def _prediction_line(path: Path, outcome: "Outcome") -> str:
    from cxrbatch._lib.text import visible
    from cxrbatch.records import FINDINGS, ImageScore

    name = visible(str(path))  # one line for each image, whatever characters its name has
    if not isinstance(outcome, ImageScore):
        return f"{name}\tnot_scored\t{outcome.reason}\t{outcome.detail}"
    scores = "\t".join(
        f"{finding}={score:.6f}" for finding, score in zip(FINDINGS, outcome.scores, strict=True)
    )
    return f"{name}\tscored\t{scores}\t{';'.join(sorted(outcome.flags))}"
