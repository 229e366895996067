"""The command line. Imports nothing heavy: every command imports what it needs when it runs."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch import __version__
from cxrbatch.errors import CxrbatchError

if TYPE_CHECKING:
    from cxrbatch.bundle import Bundle, OperatingPoints
    from cxrbatch.records import Failure, ImageScore, TriageRun

EXIT_NOT_ALL_SCORED = 3
EXIT_INTERRUPTED = 130

_DEVICES = click.Choice(["auto", "cpu", "gpu"])
_PRECISIONS = click.Choice(["auto", "float32", "mixed_float16", "mixed_bfloat16"])
_PATH = click.Path(path_type=Path)


def _model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that scores."""
    options = (
        click.option("--bundle", type=_PATH, help="Folder of the model bundle.  [default: the one shipped]"),
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


def _reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that says what a score means."""
    options = (
        click.option(
            "--operating-points",
            type=_PATH,
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Rank patients by the COVID-19 score of their chest radiographs, so that the likeliest are swabbed first.

    Scores set priorities. A low score is never a rule-out.

    \b
    Exit codes: 0 every image scored · 1 the run failed · 2 wrong usage ·
    3 done, but some files were not scored · 4 no image found
    """  # noqa: D301 - \b keeps click from re-wrapping


@cli.command()
@click.argument("folder", type=_PATH)
@click.option(
    "--out", type=_PATH, required=True, help="CSV to write; .files.csv and .html are written beside it."
)
@_model_options
@_reading_options
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    help="Images per batch.  [default: 16 on a CPU, 64 on a GPU]",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Reader processes.  [default: one per processor]"
)
@click.option(
    "--patient-from",
    default="file",
    show_default=True,
    metavar="file|folder|REGEX",
    help="Who the patient of a PNG or JPEG is: the file, its folder, or the group of a regular expression that "
    "is searched in its path. DICOM says it itself.",
)
@click.option(
    "--pseudonymise", type=_PATH, metavar="KEYFILE", help="Replace identifiers in the report by keyed hashes."
)
def screen(folder: Path, out: Path, **options: Any) -> int:
    """Score every chest radiograph in FOLDER and write a triage report.

    FOLDER is searched with everything below it, by content and not by file name, and is only read.
    """
    from cxrbatch.read.patient import PatientRule
    from cxrbatch.screen import ScreenOptions
    from cxrbatch.screen import screen as run_screen

    run = run_screen(
        folder,
        out,
        ScreenOptions(
            **_model_kwargs(options),
            batch_size=options["batch_size"],
            n_workers=options["workers"],
            patients=PatientRule(options["patient_from"]),
            operating_points=options["operating_points"],
            prevalence=_prevalence(options["prevalence"]),
            pseudonym_key=options["pseudonymise"],
            show_progress=sys.stderr.isatty(),
        ),
    )
    _say(_summary(run, out))
    return _exit_code(run)


@cli.command()
@click.argument("images", type=_PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", type=_PATH, help="Folder for the pictures with their results written on them.")
@_model_options
@_reading_options
def predict(images: tuple[Path, ...], out: Path | None, **options: Any) -> int:
    """Score single images and print one line for each: file, status, the three scores or the reason, flags.

    --operating-points adds the priority to a line, --prevalence the probability.
    """
    from cxrbatch.operating_points import choose_bundle
    from cxrbatch.predict import predict as run_predict
    from cxrbatch.predict import result_names, save_annotated
    from cxrbatch.records import Failure

    kwargs = _model_kwargs(options)
    prevalence = _prevalence(options["prevalence"])
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
    return EXIT_NOT_ALL_SCORED if n_failed else 0


_DATA = click.option(
    "--data",
    type=_PATH,
    help="Folder with the data sets that the recipe names.  [default: beside the recipe]",
)


@cli.command()
@click.argument("recipe", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Folder of the bundle to write.")
@_DATA
@click.option("--log-dir", type=_PATH, help="Folder for TensorBoard: the loss of every network.")
@click.option("--fresh", is_flag=True, help="Train again what an earlier run left in the work folder.")
def train(recipe: Path, out: Path, **options: Any) -> int:
    """Train a network by RECIPE and write it as a bundle.

    Finished and half-finished networks are kept in a work folder, the name of the bundle with .work after it. The
    same command after a kill goes on from there, to the same weights; evaluate takes the networks of the folds from
    it. It may be deleted.
    """
    from cxrbatch import runtime

    runtime.start()  # before anything else imports TensorFlow, to keep its start-up lines off stderr
    from cxrbatch.learn.train import train as run_train

    trained = run_train(recipe, out, **options, say=_say)
    _say(f"bundle {trained.id} written to {out}")
    return 0


@cli.command()
@click.argument("bundle_folder", type=_PATH, metavar="BUNDLE")
@click.argument("recipe", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Folder to write.")
@_DATA
def evaluate(bundle_folder: Path, recipe: Path, out: Path, data: Path | None) -> int:
    """Measure what BUNDLE is worth on the sources of RECIPE.

    If BUNDLE was trained by RECIPE, its folds are trained again, or taken from the work folder beside it, and every
    source is scored by networks that had seen nothing of it. With another recipe, BUNDLE itself scores the sources
    that took no part in its training. Writes index.html, MODEL_CARD.md, evaluation.json and patients.csv; prints the
    worst figure, what is reached without any image, and what it means.
    """
    from cxrbatch import runtime

    runtime.start(precision=runtime.Precision.FLOAT32)
    from cxrbatch.learn.measure import evaluate_bundle, summary

    for line in summary(evaluate_bundle(bundle_folder, recipe, out, data, _say)):
        click.echo(line)
    _say(f"evaluation written to {out}")
    return 0


@cli.group()
def bundle() -> None:
    """Work with model bundles."""


@bundle.command("import")
@click.argument("model", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Folder of the bundle to write.")
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
    help="Range of pixel values with which the network was taught.",
)
@click.option("--size", metavar="HxW", help="Size of its input in pixels.  [default: the model's own]")
@click.option(
    "--resize",
    type=click.Choice(["linear", "nearest", "area"]),
    default="linear",
    show_default=True,
    help="How pictures were brought to that size: linear as cv2.resize, nearest as Keras' load_img, area as here.",
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
    from cxrbatch import runtime

    runtime.start(
        runtime.Device.CPU
    )  # before anything else imports TensorFlow, to keep its start-up lines off stderr
    from cxrbatch.bundle_import import ImportSpec, OutputActivation, Pixels, import_bundle, parse_size

    spec = ImportSpec(
        labels=tuple(label.strip().lower() for label in options["labels"].split(",")),
        pixels=Pixels(options["pixels"]),
        size=parse_size(options["size"]) if options["size"] else None,
        resize=options["resize"],
        activation=OutputActivation(options["activation"]),
    )
    imported = import_bundle(model, out, spec, name or "")
    _say(f"bundle {imported.id} written to {out}; nothing was measured of it: cxrbatch evaluate does")
    return 0


def main() -> None:
    """Entry point: runs a command and turns errors into one line and an exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # systemd's stop is as orderly as Ctrl-C
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; no result was written")
        code = EXIT_INTERRUPTED
    except CxrbatchError as error:
        _say(f"Error: {error}")
        code = error.exit_code
    except Exception as error:
        # The message may hold patient data; the type and place cannot.
        if os.environ.get("CXRBATCH_DEBUG"):
            raise
        _say(
            f"Error: internal error ({type(error).__name__}); set CXRBATCH_DEBUG=1 to see where, and report it"
        )
        code = 1
    sys.exit(code or 0)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _model_kwargs(options: dict[str, Any]) -> dict[str, Any]:
    from cxrbatch.bundle import DEFAULT_BUNDLE
    from cxrbatch.runtime import Device, Precision

    return {
        "bundle": options["bundle"] or DEFAULT_BUNDLE,
        "device": Device(options["device"]),
        "precision": Precision(options["precision"]),
    }


def _prevalence(text: str | None) -> float | None:
    from cxrbatch.prevalence import parse_prevalence

    return None if text is None else parse_prevalence(text)


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


def _exit_code(run: "TriageRun") -> int:
    """A second copy of a scored image is no image without a score."""
    from cxrbatch.reasons import Reason

    without_score = [
        item for item in run.failures if not item.skipped and item.reason is not Reason.DUPLICATE
    ]
    return (
        EXIT_NOT_ALL_SCORED if without_score or not all(patient.is_ranked for patient in run.patients) else 0
    )


def _summary(run: "TriageRun", out: Path) -> str:
    n_ranked = sum(patient.is_ranked for patient in run.patients)
    return (
        f"{run.n_found} files found = {run.n_scored} scored + {run.n_not_scored} not scored"
        f" + {run.n_skipped} skipped; "
        f"{n_ranked} patients ranked, {len(run.patients) - n_ranked} for a human to look at; "
        f"{run.duration_s:.1f} s; {out}"
    )


def _prediction_line(path: Path, result: "ImageScore | Failure") -> str:
    from cxrbatch.records import FINDINGS, ImageScore
    from cxrbatch.report.text import visible

    name = visible(str(path))  # one line for each image, whatever its name holds
    if not isinstance(result, ImageScore):
        return f"{name}\tnot_scored\t{result.reason}\t{result.detail}"
    scores = "\t".join(
        f"{finding}={score:.6f}" for finding, score in zip(FINDINGS, result.scores, strict=True)
    )
    return f"{name}\tscored\t{scores}\t{';'.join(sorted(result.flags))}"
