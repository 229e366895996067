"""Choose what runs the network, TensorFlow or LiteRT: bundle and options in, choice out. Neither is imported."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from cxrbatch._lib import litert
from cxrbatch.bundle import Bundle
from cxrbatch.errors import UsageProblem
from cxrbatch.infer.runtime import Device, Precision

_GPU_FILES = ("nvidia[0-9]*", "dxg", "kfd")
"""Files in /dev of a GPU that TensorFlow might use: NVIDIA's, that of Windows below Linux, AMD's."""


class RuntimeChoice(StrEnum):
    """What runs the network.

    ``auto`` is LiteRT where it is installed, the bundle has a network for it, and neither a GPU nor another precision
    than float32 is asked for or, for ``auto``, at hand; else TensorFlow.
    """

    AUTO = "auto"
    TENSORFLOW = "tensorflow"
    LITERT = "litert"


def choose_runtime(
    bundle: Bundle, asked: RuntimeChoice, device: Device, precision: Precision
) -> RuntimeChoice:
    """Choose the runtime.

    Returns
    -------
    RuntimeChoice
        Never ``AUTO``.

    Raises
    ------
    UsageProblem
        LiteRT was asked for, and it cannot run this bundle with these options.
    """
    if asked is RuntimeChoice.TENSORFLOW:
        return asked
    obstacle = next(_obstacles(bundle, device, precision), None)
    if obstacle is None:
        is_better = asked is RuntimeChoice.LITERT or device is Device.CPU or not _has_gpu()
        return RuntimeChoice.LITERT if is_better else RuntimeChoice.TENSORFLOW
    if asked is RuntimeChoice.LITERT:
        raise UsageProblem(f"--runtime litert: {obstacle}")
    return RuntimeChoice.TENSORFLOW


def _obstacles(bundle: Bundle, device: Device, precision: Precision) -> Iterator[str]:
    """Yield why LiteRT cannot run the network, and what to do."""
    if not litert.is_installed():
        yield "LiteRT is not installed; pip install 'cxrbatch[litert]'"
    if bundle.lite_path is None:
        yield f"bundle {bundle.id} has no network for it; cxrbatch bundle convert makes one that has"
    if device is Device.GPU:
        yield "it runs on the processor; leave --device gpu away, or use --runtime tensorflow"
    if precision not in (Precision.AUTO, Precision.FLOAT32):
        yield f"it computes in float32; leave --precision {precision} away, or use --runtime tensorflow"


def _has_gpu(devices: Path = Path("/dev")) -> bool:
    return any(next(devices.glob(pattern), None) for pattern in _GPU_FILES)
