"""Declare the options of the commands, each once, and make records from them: option values in, options records out.

A recipe (`cxrbatch.cli.recipe`) is checked against these declarations; there is no second list of options.
"""

from typing import TYPE_CHECKING, Any

import click

from cxrbatch._lib.clock import EXPIRE_NIGHTS, MOST_NIGHTS, PENDING_DAYS
from cxrbatch._lib.text import CSV_ENCODINGS, TABLE_FORMATS
from cxrbatch.cli.execution import CLUSTER, EXECUTION
from cxrbatch.cli.page_options import PAGE
from cxrbatch.cli.types import PATH, SHIPPED, BundleFolder, Names, ScreenedFolder, Share

if TYPE_CHECKING:
    from cxrbatch.engines import EngineOptions
    from cxrbatch.screening import ScreenOptions

EXIT_INCOMPLETE = 3
"""Exit code: done, but something was left out, such as files without a score or rows that match no patient."""

MODEL = (
    click.Option(
        ["--bundle"],
        type=BundleFolder(),
        default=SHIPPED,
        show_default=True,
        help="Folder of the model bundle; default is the one shipped.",
    ),
    click.Option(
        ["--runtime"],
        type=click.Choice(["auto", "tensorflow", "litert"]),
        default="auto",
        show_default=True,
        help="What runs the network; auto is LiteRT where it is installed, in the bundle, and there is no GPU.",
    ),
    click.Option(
        ["--device"],
        type=click.Choice(["auto", "cpu", "gpu"]),
        default="auto",
        show_default=True,
        help="Where the network runs.",
    ),
    click.Option(
        ["--precision"],
        type=click.Choice(["auto", "float32", "mixed_float16", "mixed_bfloat16"]),
        default="auto",
        show_default=True,
        help="Arithmetic; auto is float32 on a CPU and mixed_float16 on a GPU.",
    ),
)
"""Options of every command that scores."""

MEANING = (
    click.Option(
        ["--operating-points"],
        type=PATH,
        metavar="FILE",
        help="Least scores of the bands, measured for this very bundle.  [default: those of the bundle]",
    ),
    click.Option(
        ["--prevalence"],
        type=Share(),
        metavar="SHARE",
        help="Share of tonight's patients expected to have COVID-19 (0.05, 5%): gives probabilities beside the "
        "scores. The order stays the same.",
    ),
)
"""Options of every command that interprets scores."""

WORDS = (
    click.Option(
        ["--header-words"],
        type=PATH,
        metavar="FILE",
        help="TOML with words of this hospital for body parts and views, beside the built-in ones.",
    ),
)
"""Options of every command that reads headers."""

NIGHT = (
    click.Option(
        ["--patient-from"],
        default="file",
        show_default=True,
        metavar="file|folder|REGEX",
        help="Who the patient of a file that is not DICOM is: the file, its folder, or the group of a regular "
        "expression that is searched in its path. DICOM says it itself.",
    ),
    click.Option(
        ["--pseudonymise"],
        type=PATH,
        metavar="KEYFILE",
        help="Replace identifiers in the report by keyed hashes.",
    ),
    click.Option(
        ["--state"],
        type=PATH,
        metavar="FILE",
        help="File on a local disk in which nights are remembered: what was scored or refused is not read again, "
        "and patients stay on the list until a PCR result arrives.  [default: each run stands for itself]",
    ),
    click.Option(
        ["--rescore/--no-rescore"],
        default=False,
        help="Read and score again what is remembered.  [default: no]",
    ),
    click.Option(
        ["--settle"],
        type=click.FloatRange(min=0),
        default=0,
        show_default=True,
        metavar="SECONDS",
        help="Leave alone, for the next night, files modified less than this ago.",
    ),
    click.Option(
        ["--expire"],
        type=click.IntRange(1, MOST_NIGHTS),
        default=EXPIRE_NIGHTS,
        show_default=True,
        metavar="NIGHTS",
        help="With --state: after this long without a new image or a PCR result a patient leaves the list.",
    ),
    click.Option(
        ["--max-nights"],
        type=click.IntRange(1, MOST_NIGHTS),
        metavar="NIGHTS",
        help="With --state: who has waited this long comes first.  [default: nobody]",
    ),
    click.Option(
        ["--pending-days"],
        type=click.IntRange(1, MOST_NIGHTS),
        default=PENDING_DAYS,
        show_default=True,
        metavar="DAYS",
        help="With --state: whoever was swabbed less than this ago waits for the result, below the list; without one "
        "by then the patient is ranked again, with a flag.",
    ),
    click.Option(
        ["--capacity"],
        type=click.IntRange(min=1),
        metavar="K",
        help="Number of swabs there are: draws the line below the first K, and says with --prevalence what they "
        "reach.",
    ),
)

LIMITS = (
    click.Option(
        ["--max-memory"],
        metavar="SIZE",
        help="What the run may take in all, such as 4G: fewer worker processes are started if need be, and larger "
        "images refused.  [default: a cap for each worker only, docs/limits.md]",
    ),
    click.Option(
        ["--limit"],
        multiple=True,
        metavar="NAME=VALUE",
        help="What one file may ask for before it is refused: seconds, pixels, file_bytes, ratio, nesting "
        "(docs/limits.md). May be given several times.",
    ),
)

EXIT_ZERO = click.Option(
    ["--exit-zero-if-unscored"],
    is_flag=True,
    help="End with exit code 0 in place of 3 where images have no score, for wrappers that take 3 for a failure.",
)

AFTERWARDS = (
    click.Option(
        ["--metrics"],
        type=PATH,
        metavar="FILE.prom",
        help="Text file for Prometheus (node_exporter), written at the end of every run, also of one that failed: "
        "exit code, times and counts (docs/operations.md).  [default: none]",
    ),
    click.Option(
        ["--notify"],
        type=PATH,
        metavar="PROGRAM",
        help="Started once the list is ready, with its counts as JSON on stdin and as variables of the environment; "
        "whatever it does, list and exit code stay the same (docs/operations.md).  [default: none]",
    ),
)
"""Options of what is said of a run after its end."""

SCREEN: tuple[click.Parameter, ...] = (
    click.Argument(["folder"], type=ScreenedFolder(), required=False),
    click.Option(
        ["-o", "--out"],
        type=PATH,
        help="CSV to write; .files.csv and .html are written beside it; - writes the CSV alone to stdout.  "
        "[required, here or in the recipe]",
    ),
    click.Option(
        ["--format"],
        type=Names(TABLE_FORMATS, always=("csv",)),
        default="csv",
        show_default=True,
        metavar="csv,json,parquet",
        help="Formats of both tables, separated by commas. The CSV is always written; parquet needs the extra "
        "cxrbatch[parquet].",
    ),
    *MODEL,
    *MEANING,
    *WORDS,
    *EXECUTION,
    *CLUSTER,
    *NIGHT,
    *LIMITS,
    *PAGE,
    click.Option(
        ["--csv-encoding"],
        type=click.Choice(CSV_ENCODINGS),
        default=CSV_ENCODINGS[0],
        show_default=True,
        help="Encoding of the two CSVs; Excel needs utf-8-sig, with a byte order mark, to show accents.",
    ),
    EXIT_ZERO,
    *AFTERWARDS,
    click.Option(
        ["--log-format"],
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Lines on stderr: for people, or one JSON object each.",
    ),
)
"""All parameters of ``cxrbatch screen`` except the recipe."""

_SAME_NAME = (
    *("bundle", "header_words", "operating_points", "state", "rescore"),
    *("max_nights", "pending_days", "capacity", "csv_encoding"),
    *("show", "viewer_url", "viewer_scheme", "latest"),
)
"""Options of ``cxrbatch screen`` that are fields of `ScreenOptions` as they are."""

state_option = click.option(
    "--state", type=PATH, required=True, metavar="FILE", help="What cxrbatch screen --state remembers."
)


def screen_options(stated: dict[str, Any], *, show_progress: bool = False) -> "ScreenOptions":
    """Make the options of ``cxrbatch screen``."""
    from cxrbatch.read import PatientRule
    from cxrbatch.screening import ScreenOptions

    return ScreenOptions(
        **{name: stated[name] for name in _SAME_NAME},
        engine=engine_options(stated),
        patients=PatientRule(stated["patient_from"]),
        prevalence=prevalence(stated),
        pseudonym_key=stated["pseudonymise"],
        settle_s=stated["settle"],
        expire_nights=stated["expire"],
        n_explained=stated["explain"],
        formats=stated["format"],
        show_progress=show_progress,
    )


def engine_options(stated: dict[str, Any]) -> "EngineOptions":
    """Make the options of execution; an option that the command does not have keeps its default."""
    from cxrbatch.engines import Decode, EngineOptions
    from cxrbatch.infer import Device, Precision, RuntimeChoice
    from cxrbatch.limits import parse_bytes, parse_limits

    memory = stated.get("max_memory")
    return EngineOptions(
        name=stated.get("engine", "local"),
        ray_address=stated.get("ray_address"),
        n_workers=stated.get("workers"),
        batch_size=stated.get("batch_size"),
        runtime=RuntimeChoice(stated.get("runtime", RuntimeChoice.AUTO)),
        device=Device(stated["device"]),
        precision=Precision(stated["precision"]),
        decode=Decode(stated.get("decode", Decode.REDUCED)),
        limits=parse_limits(stated.get("limit", ())),
        max_memory_bytes=memory and parse_bytes(memory, "--max-memory "),
    )


def prevalence(stated: dict[str, Any]) -> float | None:
    """Read ``--prevalence``; see `cxrbatch.triage.parse_prevalence`."""
    from cxrbatch.triage import parse_prevalence

    text = stated["prevalence"]
    return None if text is None else parse_prevalence(text)
