"""Read TOML strictly: a file or table in, a frozen dataclass out.

An unknown key, a missing key or a value of another type is an error that names the file, the key, what was
expected and what was found.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path, PurePath
from typing import Any, TypeVar

from cxrbatch.errors import RecipeError

T = TypeVar("T")


def load_recipe(path: Path, kind: type[T]) -> T:
    """Read a TOML file into a dataclass.

    Parameters
    ----------
    path : Path
    kind : type
        A dataclass. Its fields are str, int, float, bool, tuples of these, or further dataclasses; or unions of
        these; or unions with None, for optional keys.

    Raises
    ------
    RecipeError
        The file cannot be read, or does not fit `kind`.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    return read_recipe(table, kind, f"{path}: ")


def read_recipe(table: Any, kind: type[T], where: str = "") -> T:
    """Read a table into a dataclass, as `load_recipe` does with a file.

    Parameters
    ----------
    table : mapping
        From TOML or JSON.
    where : str
        Start of every message.

    Raises
    ------
    RecipeError
        The table does not fit `kind`.
    """
    return typing.cast(T, _dataclass(kind, table, where))


def _dataclass(kind: type, table: Any, where: str) -> Any:
    if not isinstance(table, dict):
        raise RecipeError(f"{where}expected a table, found {table!r}")
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise RecipeError(f"{where}unknown key {key!r}{_did_you_mean(key, hints)}")
    for known in dataclasses.fields(kind):
        optional = known.default is not known.default_factory  # MISSING twice: the key is required
        if not optional and known.name not in table:
            raise RecipeError(f"{where}key {known.name!r} is missing")
    values = {key: _value(hints[key], value, f"{where}{key}: ") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise RecipeError(f"{where}{error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where}expected a list, found {value!r}")
        item = typing.get_args(kind)[0]
        return tuple(_value(item, entry, f"{where}[{index}]: ") for index, entry in enumerate(value))
    if typing.get_origin(kind) is types.UnionType:
        return _one_of(typing.get_args(kind), value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise RecipeError(f"{where}expected {_name(kind)}, found {value!r} ({_name(type(value))})")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if type(value) in kinds:
        return value
    *others, last = (kind for kind in kinds if kind is not types.NoneType)
    if not others:
        return _value(last, value, where)
    expected = f"{', '.join(map(_name, others))} or {_name(last)}"
    raise RecipeError(f"{where}expected {expected}, found {value!r} ({_name(type(value))})")


def _name(kind: type | types.GenericAlias) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
    return names.get(typing.cast(type, kind), getattr(kind, "__name__", str(kind)))


def _did_you_mean(key: str, known: typing.Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"


def check_known(key: str, value: str, known: tuple[str, ...]) -> None:
    """Check that a value of a recipe is one of those known."""
    if value not in known:
        raise ValueError(f"{key} must be {' or '.join(known)}, found {value!r}")


def check_within(key: str, place: str) -> None:
    """Check that a path in a recipe stays below its folder: it must be relative, without ``..``."""
    if PurePath(place).is_absolute() or ".." in PurePath(place).parts:
        raise ValueError(f"{key} must be relative and without .., found {place!r}")
