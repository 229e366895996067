"""Read the nightly recipe, a file with the options of ``cxrbatch screen``: TOML in, defaults of options out.

Options on the command line have precedence.
"""

import dataclasses
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import click

from cxrbatch._lib.toml import load_recipe
from cxrbatch.cli.options import SCREEN
from cxrbatch.cli.types import PATH, SHIPPED, STDOUT, BundleFolder, ScreenedFolder, is_object_address
from cxrbatch.errors import RecipeError

_UNSET = re.compile(r"\$(\w+|\{[^}]*\})")
_PATHS = (type(PATH), BundleFolder, ScreenedFolder)
_KINDS: dict[type, Any] = {
    click.types.IntRange: int,
    click.types.FloatRange: float,
    click.types.BoolParamType: bool,
}


@cache
def screen_recipe() -> type:
    """Make the record that a recipe is read into: a field for each parameter of ``cxrbatch screen``.

    Fields have the names of the options, with ``_`` for ``-``; None means that the recipe does not set the option.
    Only the kinds of values are checked here; their ranges are checked with those of the command line.
    """
    fields = [(str(parameter.name), _kind(parameter) | None, None) for parameter in SCREEN]
    return dataclasses.make_dataclass("ScreenRecipe", fields, frozen=True, kw_only=True)


def _kind(parameter: click.Parameter) -> Any:
    if parameter.multiple:
        return tuple[str, ...]
    return getattr(parameter.type, "kind_in_recipe", _KINDS.get(type(parameter.type), str))


def screen_defaults(path: Path) -> dict[str, Any]:
    """Read a recipe as defaults for the command line.

    In paths, a ``~`` at the start and ``$VARIABLES`` are replaced; relative paths start at the folder of the recipe.

    Parameters
    ----------
    path : Path
        A TOML file; see `screen_recipe`.

    Raises
    ------
    RecipeError
        The file cannot be read, has an unknown key or a value of the wrong kind, or names an unset variable.
    """
    content = dataclasses.asdict(load_recipe(path, screen_recipe()))
    stated = {key: value for key, value in content.items() if value is not None}
    paths = {str(parameter.name) for parameter in SCREEN if isinstance(parameter.type, _PATHS)}
    return stated | {key: expanded(stated[key], path, key) for key in paths & stated.keys()}


def expanded(text: str, recipe: Path, key: str) -> str:
    """Make a path of a recipe absolute.

    Raises
    ------
    RecipeError
        It names a variable that is not set.
    """
    if (key, text) in (("bundle", SHIPPED), ("out", str(STDOUT))):
        return text
    if key == "folder" and is_object_address(text):
        return text
    whole = os.path.expandvars(Path(text).expanduser())
    if unset := _UNSET.search(whole):
        raise RecipeError(f"{recipe}: {key}: the variable {unset[0]} is not set")
    return str(recipe.parent.absolute() / whole)


def _take_defaults(context: click.Context, _: click.Parameter, recipe: Path | None) -> None:
    """Use a recipe as defaults of the other options; they are checked like values of the command line."""
    if recipe:
        context.default_map = screen_defaults(recipe)


def recipe_option() -> click.Option:
    """Make the option ``--recipe``."""
    return click.Option(
        ["--recipe"],
        type=PATH,
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_take_defaults,
        help="TOML that may set FOLDER and every option of screen; what the command line says wins.",
    )
