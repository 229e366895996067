"""Command ``cxrbatch embed``."""

import logging
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbatch.cli.execution import EXECUTION
from cxrbatch.cli.log import is_shown, log_event
from cxrbatch.cli.options import (
    EXIT_INCOMPLETE,
    EXIT_ZERO,
    LIMITS,
    MODEL,
    NIGHT,
    WORDS,
    engine_options,
)
from cxrbatch.cli.types import PATH

if TYPE_CHECKING:
    import pandas as pd


@click.command(
    params=[
        click.Argument(["folder"], type=PATH),
        click.Option(["-o", "--out"], type=PATH, required=True, help="Parquet file to write."),
        *(option for option in MODEL if option.name in ("bundle", "device")),
        *WORDS,
        *EXECUTION,
        *(option for option in NIGHT if option.name == "patient_from"),
        *LIMITS,
        EXIT_ZERO,
    ]
)
def embed(folder: Path, out: Path, exit_zero_if_unscored: bool, **stated: Any) -> int:
    """Write the features of the network for every chest radiograph in FOLDER, for analyses of your own.

    One row for each file found, with the columns of report.files.csv but the scores, then feature_0000 and so on:
    the values from which the last layers compute the scores. Needs the extra cxrbatch[parquet]. Nothing is ranked.
    """
    from cxrbatch._lib.atomic import write_together
    from cxrbatch.embedding import embed as run_embed
    from cxrbatch.infer import Precision
    from cxrbatch.report import table_parquet

    _check_out(folder, out)
    frame = run_embed(
        folder,
        stated["bundle"],
        engine_options({**stated, "precision": Precision.FLOAT32}),
        patients=stated["patient_from"],
        header_words=stated["header_words"],
        show_progress=is_shown(logging.INFO) and sys.stderr.isatty(),
    )
    write_together({out: table_parquet(frame)})
    counts = Counter(map(str, frame["status"]))
    code = EXIT_INCOMPLETE if counts["not_scored"] and not exit_zero_if_unscored else 0
    log_event(_summary(frame, counts, out), event="done", exit_code=code)
    return code


def _check_out(folder: Path, out: Path) -> None:
    from cxrbatch._lib.atomic import check_places
    from cxrbatch.errors import UsageProblem
    from cxrbatch.records import check_outside
    from cxrbatch.report import check_formats

    check_formats(["parquet"])
    if out.suffix != ".parquet":
        raise UsageProblem(f"--out {out}: give a name that ends in .parquet, such as features.parquet")
    check_outside("--out", out, folder, "folder")
    check_places([out])


def _summary(frame: "pd.DataFrame", counts: Counter[str], out: Path) -> str:
    n_features = sum(str(column).startswith("feature_") for column in frame)
    return (
        f"{len(frame)} files found = {counts['embedded']} embedded + {counts['not_scored']} not scored"
        f" + {counts['skipped']} skipped; {n_features} features each; {out}"
    )
