"""Types of the values of options and arguments: text in, value out."""

from pathlib import Path
from typing import Any

import click

from cxrbatch._lib.text import TABLE_FORMATS

STDOUT = Path("-")
"""Value of ``--out`` that stands for standard output."""

PATH = click.Path(path_type=Path)


class Share(click.ParamType):  # type: ignore[type-arg]
    """A share, written as a number or as a percentage; it is parsed where it is used."""

    name = "text"
    kind_in_recipe = float | str

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Keep the text, so that an error message can quote it."""
        return str(value)


class BundleFolder(click.ParamType):  # type: ignore[type-arg]
    """The folder of a bundle; ``default`` is the one that is shipped, and ``./default`` a folder of that name."""

    name = "path"
    kind_in_recipe = str

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """Find the folder; it is checked where it is loaded."""
        from cxrbatch.bundle import DEFAULT_BUNDLE

        return DEFAULT_BUNDLE if value == SHIPPED else Path(value)


class Formats(click.ParamType):  # type: ignore[type-arg]
    """Formats of tables, separated by commas; the CSV is always among them."""

    name = "text"
    kind_in_recipe = str

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split, and refuse what is no format."""
        if isinstance(value, tuple):
            return value
        wanted = [word.strip() for word in str(value).split(",")]
        if unknown := [word for word in wanted if word not in TABLE_FORMATS]:
            self.fail(f"{unknown[0]!r} is none of {', '.join(TABLE_FORMATS)}.", param, ctx)
        return tuple(name for name in TABLE_FORMATS if name in (*wanted, "csv"))


class NewBundle(click.ParamType):  # type: ignore[type-arg]
    """The folder of a bundle to write."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse the name that stands for another bundle."""
        if value == SHIPPED:
            self.fail(
                f"{SHIPPED} is the bundle that is shipped; ./{SHIPPED} is a folder of that name", param, ctx
            )
        return Path(value)


SHIPPED = "default"
"""Name of the bundle that is shipped, in every command."""
