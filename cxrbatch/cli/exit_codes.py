"""What the exit codes mean, what the ward sees, and what to do."""

from collections.abc import Mapping

_EARLIER = "the list of the run before, which says so when it is a day old"

EXIT_CODES: Mapping[int, tuple[str, str, str]] = {
    0: (
        "every image was scored (a second copy of a scored image needs no score)",
        "the new list",
        "nothing",
    ),
    1: (
        "the run failed, and wrote no report unless the line says so",
        _EARLIER,
        "read the line: it names the file, folder or disk; `cxrbatch doctor` says what else is wrong; run again",
    ),
    2: (
        "the command line or the recipe is wrong; no image was read",
        _EARLIER,
        "correct the option, key or path that the line names; run again",
    ),
    3: (
        "the report was written; some images were not scored",
        "the new list, whose first line says how many need a human",
        "nothing, it is daily business; if none was scored, or their number grows, look at the reasons in "
        "`report.files.csv`",
    ),
    4: (
        "not one image in the folder; no report was written",
        _EARLIER,
        "mount the export, or ask why the PACS exported nothing; run again",
    ),
    5: (
        "another run is at work on the same state or report; its process number is named",
        "the list of that run, once it has ended",
        "wait; if every night, start earlier, or use more readers or a GPU; if it hangs, end it and run again",
    ),
    130: ("stopped (Ctrl-C, `systemctl stop`)", _EARLIER, "run again: what was read is remembered"),
}
"""Of ``cxrbatch screen``: meaning, what ``latest.html`` shows, and advice, in Markdown. What a code means for another
command, its help says."""
