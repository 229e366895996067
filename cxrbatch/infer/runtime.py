"""Start TensorFlow: late, without its output, on the chosen device. Only this module decides device and precision."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cxrbatch._lib.quiet import quiet_stderr
from cxrbatch.errors import UsageProblem

_BATCH_SIZE_CPU = 32
_BATCH_SIZE_GPU = 64


class Device(StrEnum):
    """Device on which the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class Precision(StrEnum):
    """Arithmetic of the network; scores differ by up to a few hundredths between them."""

    AUTO = "auto"
    FLOAT32 = "float32"
    MIXED_FLOAT16 = "mixed_float16"
    MIXED_BFLOAT16 = "mixed_bfloat16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """TensorFlow after its start.

    Attributes
    ----------
    tensorflow : module
    device : str
        Device on which scores are computed, for the provenance.
    precision : Precision
        Never ``AUTO``.
    batch_size : int
        Default batch size of the device.
    """

    tensorflow: Any
    device: str
    precision: Precision
    batch_size: int


def start_runtime(
    device: Device = Device.AUTO, precision: Precision = Precision.AUTO, n_threads: int | None = None
) -> Runtime:
    """Import TensorFlow (2–6 s) and choose the device.

    On a GPU the default is mixed precision, and memory is allocated as needed, since others may use the GPU too.

    Parameters
    ----------
    n_threads : int, optional
        Processors that one operation of the network uses; by default all. The scores do not depend on it.

    Raises
    ------
    UsageProblem
        A GPU was requested and there is none.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr(), _without_collection():
        import tensorflow as tf  # noqa: PLC0415 - seconds, and the reader processes never need it

        gpus = [] if device is Device.CPU else tf.config.list_physical_devices("GPU")
        _configure(tf, gpus, n_threads)
    if device is Device.GPU and not gpus:  # not above: an error there shows the output of the libraries
        raise UsageProblem(
            "--device gpu: TensorFlow sees no GPU; install tensorflow[and-cuda] or use --device cpu"
        )
    if precision is Precision.AUTO:
        precision = Precision.MIXED_FLOAT16 if gpus else Precision.FLOAT32
    return Runtime(
        tensorflow=tf,
        device=_gpu_name(tf, gpus[0]) if gpus else "CPU",
        precision=precision,
        batch_size=_BATCH_SIZE_GPU if gpus else _BATCH_SIZE_CPU,
    )


@contextmanager
def _without_collection() -> Iterator[None]:
    """Exclude imported objects from garbage collection: saves a fifth of the import and most of the exit time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_on:
            gc.enable()


def _configure(tf: Any, gpus: list[Any], n_threads: int | None) -> None:
    try:
        if n_threads:
            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
        if not gpus:
            tf.config.set_visible_devices([], "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        return  # TensorFlow was started earlier in this process and keeps its devices


def _gpu_name(tf: Any, gpu: Any) -> str:
    details = tf.config.experimental.get_device_details(gpu)
    return f"GPU ({details.get('device_name', 'unknown')})"
