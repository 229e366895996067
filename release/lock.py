"""Read what is pinned: name, version, hashes, and what asks for it."""

import configparser
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
EXTRAS_LOCK = ROOT / "requirements-extras.lock"
"""Holds all that `LOCK` holds, and what the extras need."""
DEFAULT = "default"

_ENTRY = re.compile(r"^(?P<pin>[a-z][^\\\n]*?) *\\\n(?P<rest>(?:[ ].*\n)+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^ +#(?: via)? +(?!via$)([a-z][\w.-]*)(?: \(setup\.cfg\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of a package.

    Attributes
    ----------
    marker : str
        Where this version is installed, such as ``python_full_version < "3.12"``; empty: everywhere.
    hashes : tuple of str
        SHA-256 of each file of this version that may be installed.
    asked_by : tuple of str
        Packages that need it, ``cxrbatch`` too.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    asked_by: tuple[str, ...]


def read_lock(path: Path = EXTRAS_LOCK) -> list[Pin]:
    """Read a file that ``make lock`` wrote.

    Returns
    -------
    list of Pin
        In the order of the file. A package has several where its version depends on that of Python. What only Windows
        needs is left out, since cxrbatch does not run there.
    """
    found = (_pin(entry) for entry in _ENTRY.finditer(path.read_text(encoding="utf-8")))
    return [pin for pin in found if "win32" not in pin.marker]


def _pin(entry: re.Match[str]) -> Pin:
    requirement = Requirement(entry["pin"])
    (specifier,) = requirement.specifier
    return Pin(
        name=canonicalize_name(requirement.name),
        version=specifier.version,
        marker=str(requirement.marker or ""),
        hashes=tuple(_HASH.findall(entry["rest"])),
        asked_by=tuple(_VIA.findall(entry["rest"])),
    )


def needed_for(pins: Iterable[Pin], setup: Path = ROOT / "setup.cfg") -> dict[str, tuple[str, ...]]:
    """Find out for what each package is installed.

    Returns
    -------
    dict
        By the name of the package: `DEFAULT`, or the extras that need it.
    """
    always = {pin.name for pin in read_lock(LOCK)}
    asked_by = {pin.name: set(pin.asked_by) for pin in pins}
    by_extra = {
        extra: _closure(roots, asked_by, always) for extra, roots in sorted(_roots_of_extras(setup).items())
    }
    return {
        name: (DEFAULT,)
        if name in always
        else tuple(extra for extra, names in by_extra.items() if name in names)
        for name in asked_by
    }


def _roots_of_extras(setup: Path) -> dict[str, set[str]]:
    parser = configparser.ConfigParser()
    parser.read(setup, encoding="utf-8")
    return {
        extra: {canonicalize_name(Requirement(line).name) for line in _stated(text)}
        for extra, text in parser["options.extras_require"].items()
    }


def _stated(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _closure(
    roots: Iterable[str], asked_by: Mapping[str, Collection[str]], always: Collection[str]
) -> set[str]:
    """Follow what asks for what from the roots down, but not through what is installed anyway."""
    found: set[str] = set()
    new = set(roots)
    while new:
        found |= new
        new = {
            name for name, by in asked_by.items() if name not in always and not found.isdisjoint(by)
        } - found
    return found
