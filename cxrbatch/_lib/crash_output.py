"""Keep patient data out of stderr and off the disk when something goes wrong.

Warnings, logs and errors of libraries quote the content of files.
"""

import logging
import os
import resource
import sys
import threading
import warnings
from typing import Any


def suppress_library_output() -> None:
    """Silence libraries, reduce uncaught errors to their type, and disable memory dumps.

    Does nothing where ``CXRBATCH_DEBUG`` is set.
    """
    if os.environ.get("CXRBATCH_DEBUG"):
        return
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # else Python itself writes unhandled records
    threading.excepthook = _type_only
    sys.unraisablehook = _type_only
    disable_core_dump()


def disable_core_dump() -> None:
    """Disable memory dumps at a crash: they would contain images and names."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _type_only(error: Any) -> None:
    """Print the type of an error in a thread, or of one while an object is destroyed."""
    if sys.stderr and error.exc_type is not SystemExit:  # stderr is gone while the interpreter ends
        print(f"Error: {error.exc_type.__name__}, ignored", file=sys.stderr)  # noqa: T201 - as Python does
