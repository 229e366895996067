"""What the documentation names exists: every ``cxrbatch …`` in it is held against the command line."""

import re
import shlex
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cxrbatch.cli.app import cli

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").glob("*.md"),
        *(path for path in (REPOSITORY / "pipelines").rglob("*") if path.is_file()),
    ]
)
_END = re.compile(r"`|\n|;|\||&&|>>?|#|\)| — |, and | to ")
_PLACEHOLDER = re.compile(r"[A-Z]+|\$.*|<.*>|…|\.\.\.")


def leaves(
    group: click.Group = cli, name: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*name, word))
        else:
            yield (*name, word), command


LEAVES = dict(leaves())
OPTIONS = {
    option
    for command in (cli, *LEAVES.values())
    for parameter in command.params
    for option in (*parameter.opts, *parameter.secondary_opts)
} | {"--help", "-h"}


def command_lines(text: str) -> Iterator[str]:
    """What follows ``cxrbatch`` on a line, up to where the command ends; inline code too."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for found in re.finditer(
        r"(?:^|(?<!-u)(?<!from)[\s`/(])cxrbatch ([a-z]+\b[^\n`]*)", joined, re.MULTILINE
    ):
        in_code = joined[found.start()] == "`" or joined[: found.start()].count("```") % 2 == 1
        if in_code or found[1].split()[0] in cli.commands:
            yield _END.split(found[1])[0].strip()


def words_of(line: str) -> list[str]:
    text = line.replace("[", " ").replace("]", " ").rstrip(".,:!?\"'")
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe of prose
        return text.split()


def documented() -> list[tuple[Path, str]]:
    return [(page, line) for page in PAGES for line in command_lines(page.read_text(encoding="utf-8"))]


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def check_options(command: click.Command, words: list[str]) -> None:
    """Options exist, take what follows them, and are of the kinds that the command takes."""
    known = {
        name: parameter
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    context = click.Context(command)
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, _, value = word.partition("=")
        if not option.startswith("-") or option in ("--help", "-h", "-", "--version"):
            continue
        assert option in known, f"{command.name} has no option {option}"
        parameter = known[option]
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            stated = value or following
            if stated and not _PLACEHOLDER.fullmatch(stated):
                parameter.type.convert(stated, parameter, context)


@pytest.mark.parametrize(
    ("page", "line"), documented(), ids=[f"{page.name}: {line[:50]}" for page, line in documented()]
)
def test_documented_commands_exist(page: Path, line: str) -> None:
    command, words = find_command(words_of(line))
    check_options(command, words)


def test_enough_was_found() -> None:
    """The pages are many, and the search sees them: each command is written down somewhere."""
    named = {page.name for page, _ in documented()}
    assert {"README.md", "running.md", "nightly.toml", "crontab", "cxrbatch-screen.service"} <= named
    lines = [line for _, line in documented()]
    for name in LEAVES:
        assert [line for line in lines if line.startswith(" ".join(name))], (
            f"nothing is said of {' '.join(name)}"
        )


@pytest.mark.parametrize("page", [path for path in PAGES if path.suffix == ".md"], ids=lambda path: path.name)
def test_options_named_in_prose_exist(page: Path) -> None:
    spans = re.findall(r"`(--[a-z][^`]*)`", page.read_text(encoding="utf-8"))
    assert {span.split()[0].split("=")[0] for span in spans} <= OPTIONS


@pytest.mark.parametrize(
    "line",
    [
        "screen /in --ouf r.csv",
        "scren /in",
        "results imprt f",
        "screen /in --expire 0",
        "screen --device tpu",
    ],
)
def test_a_wrong_line_would_be_seen(line: str) -> None:
    with pytest.raises((AssertionError, click.BadParameter)):
        check_options(*find_command(words_of(line)))


NIGHT = {
    "screen": "recipe state rescore settle expire max-nights capacity prevalence log-format",
    "results import": "state dry-run",
    "audit": "state",
    "doctor": "recipe state bundle out format",
}


@pytest.mark.parametrize("name", NIGHT)
def test_help_names_the_options_of_the_night(name: str) -> None:
    result = CliRunner().invoke(cli, [*name.split(), "--help"])
    assert result.exit_code == 0
    for option in NIGHT[name].split():
        assert re.search(rf"^  --{option}\b", result.stdout, re.MULTILINE), option


def test_help_lists_the_commands_of_the_night() -> None:
    text = CliRunner().invoke(cli, ["--help"]).stdout
    for command in ("screen", "results", "audit", "doctor"):
        assert re.search(rf"^  {command}\b", text, re.MULTILINE)
