"""Keeping patients out of stderr and of the disk when something goes wrong.

Warnings, logs and errors of libraries quote what they found in a file.
"""

import logging
import os
import resource
import sys
import threading
import warnings
from typing import Any


def suppress_library_output() -> None:
    """Silence libraries, let errors that nobody catches say no more than their type, and leave no memory dump.

    Nothing of that with ``CXRBATCH_DEBUG`` set.
    """
    if os.environ.get("CXRBATCH_DEBUG"):
        return
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # or Python itself writes what no handler takes
    threading.excepthook = _type_only
    sys.unraisablehook = _type_only
    disable_core_dump()


def disable_core_dump() -> None:
    """Let a crash write no memory to the disk: it would hold images and names."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _type_only(error: Any) -> None:
    """Of an error in a thread, or while an object is destroyed."""
    if sys.stderr and error.exc_type is not SystemExit:  # no stderr any more while the interpreter ends
        print(f"Error: {error.exc_type.__name__}, ignored", file=sys.stderr)  # noqa: T201 - as Python does
