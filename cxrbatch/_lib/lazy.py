"""Import the names of a package at their first use (PEP 562)."""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def lazy_names(package: str, **names: tuple[str, ...]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package.

    A type checker sees the same names imported under ``TYPE_CHECKING``.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    **names : tuple of str
        For each module of the package, the names that are imported from it.

    Returns
    -------
    callable
        Raises AttributeError for a name that is not in `names`.
    """
    modules = {name: f"{package}.{module}" for module, here in names.items() for name in here}

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
