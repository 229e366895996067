"""Write docs/reference.md: columns, codes, exit codes and options as the program has them, in Markdown.

``python -m cxrbatch.cli.reference > docs/reference.md`` writes the file; ``make documents`` does the same.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping

import click

from cxrbatch.cli.app import cli
from cxrbatch.cli.exit_codes import EXIT_CODES
from cxrbatch.reasons import FLAG_MEANING, REASON_MEANING, Flag, Reason
from cxrbatch.records import FILE_COLUMN_MEANING, NUMBER_TYPES, PATIENT_COLUMN_MEANING

_HEAD = """\
# Reference

Columns, codes and options, generated from the program (`make documents`); not edited by hand. Columns and codes are
only ever added, never renamed: scripts may rely on them.
"""
_TYPES = {"Int64": "whole number", "int64": "whole number", "float64": "number"}
_LOG_OPTIONS = ("-h", "-q", "-v")

Words = tuple[str, str]
"""Of an option: its names, and what it means."""

_OPTIONS = """\
## Options

Every command takes `-h`, `--help`; `-v`, `--verbose`: log every stage on stderr; `-q`, `--quiet`: log warnings and
errors only. `cxrbatch --version` says which one this is.
[A recipe](../pipelines/nightly.toml) takes the options of `screen` by their long names, with `_` for `-`.
"""
_EXIT_CODES = """\
## Exit codes

Of `screen`. Other commands have the same codes; where they mean something else, `--help` says so. What the ward sees
is `latest.html` ([operations](operations.md)). A run that was killed (`kill -9`, memory, power) ends with 137, or
with no code at all, and says nothing: run again, it goes on from there.
"""


def reference() -> str:
    """Write the reference of this version.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        _HEAD,
        "## Columns of `report.csv`\n\nOne row for each patient.\n",
        _column_table(PATIENT_COLUMN_MEANING),
        "## Columns of `report.files.csv`\n\nOne row for each file found.\n",
        _column_table(FILE_COLUMN_MEANING),
        "## Reasons for no score\n",
        _table(("code", "meaning"), _codes(REASON_MEANING)),
        "## Flags on a score\n",
        _table(("flag", "meaning"), _codes(FLAG_MEANING)),
        _EXIT_CODES,
        _table(
            ("code", "means", "the ward sees", "what to do"),
            ((str(code), *words) for code, words in EXIT_CODES.items()),
        ),
        _OPTIONS,
        *_commands(),
    ]
    return "\n".join(parts)


def commands(group: click.Group, name: str = "cxrbatch") -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group and of the groups in it, with their full names."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def _column_table(meanings: Mapping[str, str]) -> str:
    rows = (
        (f"`{name}`", _TYPES.get(NUMBER_TYPES.get(name, ""), "text"), meaning)
        for name, meaning in meanings.items()
    )
    return _table(("column", "type", "holds"), rows)


def _codes(meanings: Mapping[Reason, str] | Mapping[Flag, str]) -> Iterator[tuple[str, str]]:
    return ((f"`{code}`", meaning) for code, meaning in meanings.items())


def _commands() -> Iterator[str]:
    """Describe each command; of options that an earlier one has with the same words only the names."""
    described: set[Words] = set()
    for name, command in commands(cli):
        context = click.Context(command, info_name=name)
        options = [_option(option, context) for option in command.params if _is_own_option(option)]
        yield _usage(name, command, context)
        if new := [words for words in options if words not in described]:
            yield _table(("option", "meaning"), new)
        if known := [words for words in options if words in described]:
            yield f"As above: {', '.join(names for names, _ in known)}.\n"
        described.update(options)


def _usage(name: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join((name, *command.collect_usage_pieces(context)))
    summary = " ".join((command.help or "").split("\n\n")[0].split())
    return f"### `{name}`\n\n{summary} Usage: `{usage}`\n"


def _is_own_option(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and parameter.opts[0] not in _LOG_OPTIONS


def _option(option: click.Parameter, context: click.Context) -> Words:
    names, meaning = option.get_help_record(context) or ("", "")
    return f"`{names}`", meaning


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (header, ("---",) * len(header), *(tuple(map(_cell, row)) for row in rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
