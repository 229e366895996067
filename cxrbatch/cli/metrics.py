"""Write what became of a run to a file for Prometheus: counts, times and the exit code, and no word about a patient.

The file is for the textfile collector of node_exporter. It is written at the end of every run, also of one that
failed or whose command line was wrong, and in one step: the collector never sees half of it.
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbatch._lib.atomic import replace_file
from cxrbatch._lib.prometheus import Gauge, by_label, exposition, single
from cxrbatch._lib.text import visible
from cxrbatch._lib.version import __version__
from cxrbatch.cli.arguments import value_in_recipe, value_of
from cxrbatch.cli.log import log_event
from cxrbatch.cli.recipe import expanded
from cxrbatch.errors import CxrbatchError, UsageProblem
from cxrbatch.reasons import Reason

if TYPE_CHECKING:
    from cxrbatch.records import Place, TriageRun

SUFFIX = ".prom"
"""The collector reads no other files."""
_MODE = 0o644  # the collector is another user, and nothing in it is of a patient
_LAST_REPORT = "cxrbatch_last_report_timestamp_seconds"
_OURS = b"# HELP cxrbatch_"


@dataclass
class RunMetrics:
    """The file of metrics of one run, and what goes into it.

    Attributes
    ----------
    path : Path or None
        None: none was asked for, or its place is wrong.
    started_s : float
        Start of the run, in seconds since 1970.
    run : TriageRun or None
        Set once the report is written.
    """

    path: Path | None = None
    started_s: float = field(default_factory=time.time)
    run: "TriageRun | None" = None

    def check_place(self, folder: "Place") -> None:
        """Check whether the file may be written where it was asked for.

        Raises
        ------
        UsageProblem
            The collector would not read it, or the place is one that is only read.
        """
        path, self.path = self.path, None
        if path and path.suffix != SUFFIX:
            raise UsageProblem(f"--metrics {visible(str(path))}: give a name that ends in {SUFFIX}")
        if path and isinstance(folder, Path):
            from cxrbatch.records import check_outside

            check_outside("--metrics", path, folder)
        self.path = path

    def write(self, exit_code: int) -> None:
        """Write the file; where that fails there is a warning, for the list is worth more."""
        if self.path is None or self.path.suffix != SUFFIX:
            return
        try:
            earlier = _earlier(self.path)
            text = exposition(self._gauges(exit_code, earlier))
            replace_file(self.path, text.encode("utf-8", "replace"), _MODE)
        except (CxrbatchError, OSError, ValueError) as error:
            said = str(error) if isinstance(error, CxrbatchError) else type(error).__name__
            log_event(f"--metrics: {said}", event="warning", level=logging.WARNING)

    def _gauges(self, exit_code: int, earlier: bytes) -> Iterator[Gauge]:
        ended_s = round(time.time(), 3)
        yield single("cxrbatch_run_exit_code", "Exit code of the last run of cxrbatch screen.", exit_code)
        yield single(
            "cxrbatch_run_start_timestamp_seconds", "When the last run began.", round(self.started_s, 3)
        )
        yield single("cxrbatch_run_end_timestamp_seconds", "When the last run ended.", ended_s)
        last_report_s = ended_s if self.run else _last_report_s(earlier)
        if last_report_s is not None:
            yield single(_LAST_REPORT, "When the last run ended that wrote a report.", last_report_s)
        bundle = self.run.provenance.bundle_id if self.run else ""
        yield single("cxrbatch_run_info", "What ran.", 1, version=__version__, bundle=visible(bundle))
        if self.run:
            yield from _counts(self.run)


def metrics_of(arguments: Sequence[str]) -> RunMetrics:
    """Find the file of metrics that a command line or its recipe asks for, even if the rest of both is wrong."""
    if "screen" not in arguments[:1] or {"-h", "--help"} & set(arguments):
        return RunMetrics()
    if stated := value_of("--metrics", arguments):
        return RunMetrics(Path(stated))
    stated, recipe = value_in_recipe("metrics", arguments), value_of("--recipe", arguments)
    try:
        return (
            RunMetrics(Path(expanded(stated, Path(recipe), "metrics"))) if stated and recipe else RunMetrics()
        )
    except (CxrbatchError, TypeError):
        return RunMetrics()  # the recipe is wrong, and said to be so when it is used


def _counts(run: "TriageRun") -> Iterator[Gauge]:
    files = {"scored": run.n_scored, "not_scored": run.n_not_scored, "skipped": run.n_skipped}
    yield single("cxrbatch_files_found", "Files found in the folder.", run.n_found)
    yield single("cxrbatch_files_remembered", "Files found that an earlier run had read.", run.n_remembered)
    yield by_label("cxrbatch_files", "Files found, by what became of them.", "outcome", files)
    reasons = Counter(failure.reason for failure in run.failures)
    yield by_label(
        "cxrbatch_files_without_score",
        "Files not scored or skipped, by reason.",
        "reason",
        {reason: reasons[reason] for reason in Reason},
    )
    patients = {status: run.n_patients(status) for status in ("ranked", "not_scored", "swabbed")}
    yield by_label("cxrbatch_patients", "Patients on the list, by status.", "status", patients)
    yield by_label(
        "cxrbatch_stage_duration_seconds",
        "Duration of the stages of the run.",
        "stage",
        _rounded(run.stage_s),
    )


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in seconds.items()}


def _earlier(path: Path) -> bytes:
    """Read the file that is replaced.

    Raises
    ------
    UsageProblem
        It was not written here: a state or a key must not be lost for a slip of the pen.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    if content and not content.startswith(_OURS):
        raise UsageProblem(f"{visible(str(path))}: was not written by cxrbatch, and is left as it is")
    return content


def _last_report_s(earlier: bytes) -> float | None:
    found = re.search(rb"^%s (\d+(?:\.\d+)?)$" % _LAST_REPORT.encode(), earlier, re.MULTILINE)
    return float(found[1]) if found else None
