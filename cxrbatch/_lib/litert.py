"""Call networks in TensorFlow Lite files through LiteRT (ai-edge-litert) or an interpreter like it.

Only operations that are built into the interpreter are known, so a file can run nothing of its own. Imports neither
TensorFlow nor LiteRT until a network is opened.
"""

import importlib
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PACKAGE, _MODULE = "ai-edge-litert", "ai_edge_litert"

Function = Callable[[NDArray[Any]], tuple[NDArray[Any], ...]]
"""Input tensor → output tensors, of the shapes and types in the file."""


def is_installed() -> bool:
    """Check whether LiteRT is installed; it is not imported."""
    return find_spec(_MODULE) is not None


def version() -> str:
    """Return the version of LiteRT that is installed."""
    return metadata.version(_PACKAGE)


def interpreter_class() -> Any:
    """Import LiteRT (a quarter of a second) and return its interpreter."""
    return importlib.import_module(f"{_MODULE}.interpreter").Interpreter


def open_network(interpreter: Any, content: bytes) -> Function:
    """Open a network with one input, which computes on one processor and may be called by one thread at a time.

    Parameters
    ----------
    interpreter : type
        From `interpreter_class`, or ``tensorflow.lite.Interpreter``.
    content : bytes
        TensorFlow Lite file.

    Raises
    ------
    ValueError, RuntimeError
        The file is damaged, or needs an operation that is not built in.
    """
    network = interpreter(model_content=content, num_threads=1)
    network.allocate_tensors()
    (given,), found = network.get_input_details(), network.get_output_details()

    def run(tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        network.set_tensor(given["index"], tensor)
        network.invoke()
        return tuple(np.asarray(network.get_tensor(one["index"])) for one in found)  # copies

    return run
