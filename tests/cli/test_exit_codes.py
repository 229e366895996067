"""The table of exit codes, held against what the program does."""

from cxrbatch.cli.exit_codes import EXIT_CODES
from cxrbatch.cli.options import EXIT_INCOMPLETE


def test_only_a_written_report_shows_the_ward_a_new_list() -> None:
    new = {code for code, (_, seen, _) in EXIT_CODES.items() if seen.startswith("the new list")}
    assert new == {0, EXIT_INCOMPLETE}


def test_every_code_but_good_nights_says_to_run_again_or_wait() -> None:
    for code, (_, _, advice) in EXIT_CODES.items():
        assert ("run again" in advice) == (code not in (0, EXIT_INCOMPLETE))
