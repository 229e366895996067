"""`cxrbatch screen` with a watch: when its first image was scored, and how long the report took.

``python benchmarks/marks.py OUT.json MONOTONIC screen FOLDER --out report.csv`` runs the command as it is, in a
process of its own; MONOTONIC is when that process was started, by the clock that all processes share.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # reader processes come here too: nothing heavy up here


def watch(started: float, found: dict[str, float]) -> None:
    """Note in `found`, in seconds: ``first`` since `started`, ``report``."""
    from cxrbatch.records import ImageScore  # noqa: PLC0415

    stages: Any = import_module("cxrbatch.screening.run")
    resolver: Any = import_module("cxrbatch.screening.outcomes").OutcomeResolver
    with_progress, write_report = resolver._with_progress, stages.write_report

    def noted(*args: Any) -> Any:
        for ref, outcome in with_progress(*args):
            if isinstance(outcome, ImageScore):
                found.setdefault("first", time.monotonic() - started)
            yield ref, outcome

    def timed(*args: Any) -> None:
        begun = time.monotonic()
        write_report(*args)
        found["report"] = time.monotonic() - begun

    resolver._with_progress, stages.write_report = noted, timed


def main() -> None:
    """Run the command, then write what was noted."""
    from cxrbatch.cli import main as run_command  # noqa: PLC0415

    out, started, *arguments = sys.argv[1:]
    found: dict[str, float] = {}
    watch(float(started), found)
    sys.argv = ["cxrbatch", *arguments]
    try:
        run_command()
    finally:
        Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
