"""Types of the values of options and arguments: text in, value out."""

from pathlib import Path
from typing import Any

import click

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


class ScreenedFolder(click.ParamType):  # type: ignore[type-arg]
    """A folder, or ``s3://BUCKET/PREFIX``."""

    name = "path"
    kind_in_recipe = str

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Make a path, or a prefix of a bucket: a path would lose a ``/`` of its address."""
        if not isinstance(value, str) or not is_object_address(value):
            return Path(value)
        from cxrbatch.records import place_of

        return place_of(value)


def is_object_address(text: str) -> bool:
    """Check whether a text is no path, but the address of objects in a store."""
    return text.lower().startswith("s3:/")


class BundleFolder(click.ParamType):  # type: ignore[type-arg]
    """The folder of a bundle; ``default`` is the one that is shipped, and ``./default`` a folder of that name."""

    name = "path"
    kind_in_recipe = str

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """Find the folder; it is checked where it is loaded."""
        if (
            ctx is not None and ctx.resilient_parsing
        ):  # words are completed: NumPy would take longer than the rest
            return Path(value)
        from cxrbatch.bundle import DEFAULT_BUNDLE

        return DEFAULT_BUNDLE if value == SHIPPED else Path(value)


class Names(click.ParamType):  # type: ignore[type-arg]
    """Names out of a few, separated by commas.

    Parameters
    ----------
    known : tuple of str
        The names that there are; a value has them in this order.
    always : tuple of str
        Those that are in every value.
    """

    name = "text"
    kind_in_recipe = str

    def __init__(self, known: tuple[str, ...], always: tuple[str, ...] = ()) -> None:
        self._known = known
        self._always = always

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split, and refuse what is none of the names."""
        if isinstance(value, tuple):
            return value
        wanted = [word.strip() for word in str(value).split(",") if word.strip() or self._always]
        if unknown := [word for word in wanted if word not in self._known]:
            self.fail(f"{unknown[0]!r} is none of {', '.join(self._known)}.", param, ctx)
        return tuple(name for name in self._known if name in (*wanted, *self._always))


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
