"""What the exit codes mean, and what to do."""

from collections.abc import Mapping

EXIT_CODES: Mapping[int, tuple[str, str]] = {
    0: (
        "every image was scored (a second copy of a scored image needs no score)",
        "nothing",
    ),
    1: ("the run failed; no report was written", "read the line; run `cxrbatch doctor`; run again"),
    2: ("the command line or the recipe is wrong", "correct what the line names"),
    3: (
        "the report was written; some images were not scored",
        "nothing: the page names them in its first line, for a human to look at",
    ),
    4: ("not one image in the folder; no report was written", "is the export mounted, did the PACS export?"),
    5: (
        "another run is at work on the same state or report; its process number is named",
        "wait; if every night, start earlier, or use more readers or a GPU",
    ),
    130: ("stopped (Ctrl-C, `systemctl stop`)", "run again"),
}
"""Of ``cxrbatch screen``: meaning and advice, in Markdown. What a code means for another command, its help says."""
