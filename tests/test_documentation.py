"""What the documentation names exists: every ``cxrbatch …`` in it is held against the command line."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from cxrbatch import errors, load_bundle
from cxrbatch.cli.app import EXIT_INTERRUPTED, cli
from cxrbatch.cli.exit_codes import EXIT_CODES
from cxrbatch.cli.options import EXIT_INCOMPLETE
from cxrbatch.cli.reference import reference
from cxrbatch.errors import CxrbatchError
from cxrbatch.evaluation.targets import targets
from cxrbatch.reasons import FLAG_MEANING, REASON_MEANING
from cxrbatch.records import PATIENT_COLUMNS

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(
            page
            for folder in ("docs", "benchmarks", "sample_data")
            for page in (REPOSITORY / folder).glob("*.md")
        ),
        *(path for path in (REPOSITORY / "pipelines").rglob("*") if path.is_file()),
    ]
)
_END = re.compile(r"`|\n|;|\||&&|>>?|#|\)| — |, and | to ")
_BEFORE_COMMAND = re.compile(r"(?:\$ )?|[^#]*[/&;*] ?")
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


def command_lines(text: str, *, is_shell: bool = False) -> Iterator[tuple[str, bool]]:
    """What follows ``cxrbatch`` on a line, up to where the command ends, and whether it is a whole command."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for found in re.finditer(
        r"(?:^|(?<!-u)(?<!from)[\s`/(])cxrbatch ([a-z]+\b[^\n`]*)", joined, re.MULTILINE
    ):
        in_block = joined[: found.start()].count("```") % 2 == 1
        if in_block or joined[found.start()] == "`" or found[1].split()[0] in cli.commands:
            before = joined[: found.start(1)].rpartition("\n")[2].removesuffix("cxrbatch ")
            is_whole = (in_block or is_shell) and _BEFORE_COMMAND.fullmatch(before)
            yield _END.split(found[1])[0].strip(), bool(is_whole)


def words_of(line: str) -> list[str]:
    text = line.replace("[", " ").replace("]", " ").rstrip(".,:!?\"'")
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe of prose
        return text.split()


def documented() -> list[tuple[Path, str, bool]]:
    return [
        (page, line, is_whole)
        for page in PAGES
        for line, is_whole in command_lines(page.read_text(encoding="utf-8"), is_shell=page.suffix != ".md")
    ]


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def parse(command: click.Command, words: list[str], *, is_whole: bool = True) -> None:
    """Let click parse a line and convert its values; nothing is run.

    In prose a line may leave out what is required, and the value of its last option.
    """
    context = click.Context(command, info_name=command.name)
    words = [word for word in words if word not in ("--help", "-h", "…", "...", "OPTIONS")]
    takes_value = {
        name for option in command.params if not getattr(option, "is_flag", False) for name in option.opts
    }
    if not is_whole and words and words[-1] in takes_value:
        words.append("VALUE")
    values, left, _ = command.make_parser(context).parse_args(args=words)
    assert not (is_whole and left), f"too many words: {left}"
    for parameter in command.params:
        value = values.get(str(parameter.name))
        stated = list(value) if isinstance(value, list | tuple) else [value]
        stated = [each for each in stated if isinstance(each, str)]
        assert stated or value is True or not (is_whole and parameter.required), (
            f"{parameter.name} is missing"
        )
        for each in map(str, stated):
            if not _PLACEHOLDER.fullmatch(each):
                parameter.type.convert(each, parameter, context)


@pytest.mark.parametrize(
    ("page", "line", "is_whole"),
    documented(),
    ids=[f"{page.name}: {line[:50]}" for page, line, _ in documented()],
)
def test_documented_commands_are_parsed(page: Path, line: str, is_whole: bool) -> None:
    command, words = find_command(words_of(line))
    parse(command, words, is_whole=is_whole)


def test_every_command_is_documented() -> None:
    """The pages are many, and the search sees them: each command is written down somewhere."""
    named = {page.name for page, _, _ in documented()}
    assert {"README.md", "running.md", "nightly.toml", "crontab", "cxrbatch-screen.service"} <= named
    lines = [line for page, line, _ in documented() if page.name != "reference.md"]
    for name in LEAVES:
        assert [line for line in lines if line.startswith(" ".join(name))], (
            f"nothing is said of {' '.join(name)}"
        )


@pytest.mark.parametrize(
    "page",
    [path for path in PAGES if path.suffix == ".md" and path.parent.name != "benchmarks"],
    ids=lambda path: path.name,
)
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
        "screen /in /other -o r.csv",
        "screen /in -o",
        "evaluate -o out",
    ],
)
def test_a_planted_wrong_line_is_found(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        parse(*find_command(words_of(line)))


NIGHT = {
    "screen": "recipe header-words state rescore settle expire max-nights capacity prevalence log-format",
    "results import": "state dry-run",
    "audit": "state",
    "doctor": "recipe state bundle header-words out format",
}


@pytest.mark.parametrize("name", NIGHT)
def test_help_names_the_options_of_the_night(name: str) -> None:
    result = CliRunner().invoke(cli, [*name.split(), "--help"])
    assert result.exit_code == 0
    for option in NIGHT[name].split():
        assert re.search(rf"^  (?:-\w, )?--{option}\b", result.stdout, re.MULTILINE), option


def test_help_lists_the_commands_of_the_night() -> None:
    text = CliRunner().invoke(cli, ["--help"]).stdout
    for command in ("screen", "results", "audit", "doctor"):
        assert re.search(rf"^  {command}\b", text, re.MULTILINE)


# --- files that pages name


NAMED_FILE = re.compile(r"`((?:cxrbatch|tests|benchmarks|pipelines|docs|sample_data)/[\w./-]+\.\w+)`")


def test_files_that_pages_name_exist() -> None:
    named = {
        (page.name, name) for page in PAGES for name in NAMED_FILE.findall(page.read_text(encoding="utf-8"))
    }
    assert len(named) > 40
    assert [(page, name) for page, name in sorted(named) if not (REPOSITORY / name).exists()] == []


def test_files_of_the_typical_changes_exist() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("### Typical changes", 1)[1].split("### Glossary", 1)[0]
    rows = [
        line.split("|")
        for line in table.splitlines()
        if line.startswith("| a") or line.startswith("| the size")
    ]
    assert len(rows) == 12
    for row in rows:
        for name in re.findall(r"`([a-z_]+/[\w/]*(?:\.\w+)?|\w+\.py)`", row[2]):
            assert (REPOSITORY / "cxrbatch" / name).exists(), name


# --- tables


def rows_of_table(page: str, heading: str) -> dict[str, str]:
    """First and second cell of the rows of the first table below a heading."""
    text = (REPOSITORY / page).read_text(encoding="utf-8").split(heading, 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table
    cells = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table[0].splitlines()]
    return {first: second for first, second, *_ in cells[2:]}


def test_the_reference_is_what_the_program_says() -> None:
    """Else: make documents."""
    text = (REPOSITORY / "docs" / "reference.md").read_text(encoding="utf-8")
    assert text == reference()
    assert rows_of_table("docs/reference.md", "## Reasons for no score") == dict(REASON_MEANING)
    assert rows_of_table("docs/reference.md", "## Flags on a score") == dict(FLAG_MEANING)
    assert tuple(rows_of_table("docs/reference.md", "## Columns of `report.csv`")) == PATIENT_COLUMNS
    assert {f"cxrbatch {' '.join(name)}" for name in LEAVES} == set(re.findall("^### `(.*)`$", text, re.M))
    assert {option for option in OPTIONS if option[0] == "-"} - set(
        re.findall(r"--?[a-z][a-z-]*", text)
    ) == set()


def error_kinds(kind: type[CxrbatchError] = CxrbatchError) -> Iterator[type[CxrbatchError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from error_kinds(below)


def test_exit_codes_are_documented_and_nothing_else_is() -> None:
    codes = {str(kind.exit_code) for kind in error_kinds()} | {"0", str(EXIT_INCOMPLETE)}
    assert {str(code) for code in EXIT_CODES} - {str(EXIT_INTERRUPTED)} == codes
    assert set(re.findall(r"(\d) [a-z]", cli.help or "")) >= codes


def test_the_tree_of_errors_in_the_docstring_is_that_of_the_classes() -> None:
    drawn = re.findall(r"(\w+) +(\d)  ", errors.__doc__ or "")
    assert sorted(drawn) == sorted((kind.__name__, str(kind.exit_code)) for kind in set(error_kinds()))


README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_readme_states_in_two_sentences_what_the_shipped_bundle_is_worth() -> None:
    """Generated from the bundle: after a new one is trained, copy the new sentences."""
    quoted = [" ".join(part.replace("\n> ", " ").split()) for part in README.split("\n>\n> ")]
    assert load_bundle().worth in quoted
    measured = [target for target in targets(load_bundle().evaluation) if target.value is not None]
    missed = sum(target.missed for target in measured)
    assert [part for part in quoted if part.startswith(f"It misses {missed} of the {len(measured)} targets ")]


def test_the_readme_is_short_and_leads_to_every_document() -> None:
    assert README.count("\n") <= 100
    assert len(re.findall(r"^```sh$", README, re.MULTILINE)) == 2
    index = (REPOSITORY / "docs" / "README.md").read_text(encoding="utf-8")
    documents = {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(docs/([\w-]+\.md)\)", README)) == documents
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == documents


def test_the_picture_of_the_readme_is_small_and_shows_the_shipped_bundle() -> None:
    """Else: python sample_data/screenshot.py."""
    path = REPOSITORY / "docs" / "page.png"
    assert "](docs/page.png)" in README
    assert path.stat().st_size < 200_000
    with Image.open(path) as picture:
        assert picture.size == (1280, 800)
        assert picture.info["bundle"] == load_bundle().id


def test_the_licence_of_the_weights_is_that_of_the_bundle() -> None:
    licence = load_bundle().licence
    assert licence is not None
    stated = re.sub(r"(?<=non-)\s", "", " ".join((REPOSITORY / "LICENSE-WEIGHTS").read_text().split()))
    assert licence.terms in stated
    for data in licence.data:
        assert f"{data.name}. {data.licence}" in stated
