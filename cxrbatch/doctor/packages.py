"""Check Python and the installed packages."""

import operator
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from cxrbatch._lib.version import __version__
from cxrbatch.doctor.check import Observation, Setup, ok, problem, warning

_INSTALL = "install cxrbatch again, with pip, into a fresh virtual environment"
_BOUNDS = {">=": operator.ge, "<": operator.lt}


def python(_: Setup) -> Iterator[Observation]:
    """Check whether the installed cxrbatch supports this version of Python."""
    version, required = platform.python_version(), _requires_python()
    if satisfies(version, required):
        yield ok("Python", f"{version}, cxrbatch {__version__}")
    else:
        yield problem("Python", f"{version}; cxrbatch needs {required}", _INSTALL)


def packages(_: Setup) -> Iterator[Observation]:
    """Check whether every package that cxrbatch requires is installed in an allowed version."""
    try:
        required = [line for line in metadata.requires("cxrbatch") or () if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        yield warning("packages", "cxrbatch runs here without having been installed", _INSTALL)
        return
    wrong = [observed for line in required if (observed := _wrong(line))]
    yield from wrong
    if not wrong:
        yield ok("packages", ", ".join(f"{name} {metadata.version(name)}" for name in map(_name, required)))


def satisfies(version: str, specifiers: str) -> bool:
    """Check whether a version is within bounds such as ``>=2.20,<3``; other specifiers are ignored."""
    bounds = re.findall(r"(>=|<)\s*([\d.]+)", specifiers)
    return all(_BOUNDS[sign](_parts(version), _parts(bound)) for sign, bound in bounds)


def _wrong(requirement: str) -> Observation | None:
    name = _name(requirement)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return problem("packages", f"{name} is missing", _INSTALL)
    bounds = requirement.removeprefix(name)
    if satisfies(version, bounds):
        return None
    return problem("packages", f"{name} {version}; cxrbatch needs {bounds.strip()}", _INSTALL)


def _requires_python() -> str:
    try:
        return metadata.metadata("cxrbatch")["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        return ""


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return found[0] if found else requirement


def _parts(version: str) -> tuple[int, ...]:
    """Parse the numbers at the start of a version, without zeros at the end: 2.20.0rc1 → (2, 20)."""
    numbers = [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", version)[0])]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
