"""The nightly recipe: the options of ``cxrbatch screen`` as a file. What the command line says wins."""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbatch._lib.toml import load_recipe
from cxrbatch.errors import RecipeError

_PATHS = ("folder", "out", "state", "operating_points", "bundle", "pseudonymise")
_UNSET = re.compile(r"\$(\w+|\{[^}]*\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRecipe:
    """Options of ``cxrbatch screen``, named as there, with ``_`` for ``-``; None is what the recipe leaves open.

    Only kinds are checked here; what a value may be is checked where the command line checks it.
    """

    folder: str | None = None
    out: str | None = None
    state: str | None = None
    rescore: bool | None = None
    settle: float | None = None
    expire: int | None = None
    max_nights: int | None = None
    capacity: int | None = None
    prevalence: float | str | None = None
    operating_points: str | None = None
    bundle: str | None = None
    device: str | None = None
    precision: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    decode: str | None = None
    patient_from: str | None = None
    pseudonymise: str | None = None
    max_memory: str | None = None
    limit: tuple[str, ...] | None = None
    log_format: str | None = None


def screen_defaults(path: Path) -> dict[str, Any]:
    """What a recipe says, as defaults for the command line.

    In paths, a ``~`` at the start and ``$VARIABLES`` are replaced; a relative one starts at the folder of the recipe.

    Parameters
    ----------
    path : Path
        A TOML file; see `ScreenRecipe`.

    Raises
    ------
    RecipeError
        The file cannot be read, has an unknown key or a value of the wrong kind, or names an unset variable.
    """
    content = dataclasses.asdict(load_recipe(path, ScreenRecipe))
    stated = {key: value for key, value in content.items() if value is not None}
    paths = {key: _expanded(stated[key], path, key) for key in _PATHS if key in stated}
    return stated | paths


def _expanded(text: str, recipe: Path, key: str) -> str:
    expanded = os.path.expandvars(Path(text).expanduser())
    if unset := _UNSET.search(expanded):
        raise RecipeError(f"{recipe}: {key}: the variable {unset[0]} is not set")
    return str(recipe.parent / expanded)
