"""Options of an engine: how a run executes on the machine. The settings that decide a score are in the bundle."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from cxrbatch._lib.ranges import MOST_IN_BATCH, MOST_WORKERS, check_count
from cxrbatch.errors import UsageProblem
from cxrbatch.infer import Device, Precision, RuntimeChoice
from cxrbatch.limits import Limits


class Decode(StrEnum):
    """Resolution at which a large radiograph is decoded; scores differ by up to a hundredth between the two."""

    REDUCED = "reduced"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Options of an engine.

    ``n_workers`` and ``batch_size`` change no score by more than 1e-5, ``runtime`` few by more; precision, which
    a device chooses where it is ``auto``, and ``decode`` move scores by up to hundredths; limits turn scores into
    failures.

    Attributes
    ----------
    name : str
        Name of the engine: a key of `cxrbatch.engines.registry.ENGINES`.
    n_workers : int or None
        Worker processes that read files; None: one per processor.
    batch_size : int or None
        Images per batch of TensorFlow; None: the default of the device. LiteRT scores each image by itself.
    runtime : RuntimeChoice
        What runs the network; see `cxrbatch.infer.choose_runtime`.
    device : Device
        Device on which the network runs.
    precision : Precision
        Arithmetic of the network.
    decode : Decode
        Decode only as many pixels as the network needs, where the file allows it, or all pixels.
    limits : Limits
        Limits on a single file.
    max_memory_bytes : int or None
        Memory of the whole run; see `cxrbatch.limits.share_memory`.
    ray_address : str or None
        Ray cluster that the engine ``ray`` joins, as ``HOST:PORT`` or ``auto`` (the one that runs on this machine);
        None: it starts Ray on this machine alone.
    """

    name: str = "local"
    n_workers: int | None = None
    batch_size: int | None = None
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    decode: Decode = Decode.REDUCED
    limits: Limits = Limits()
    max_memory_bytes: int | None = None
    ray_address: str | None = None

    def __post_init__(self) -> None:
        for name, kind in (
            ("runtime", RuntimeChoice),
            ("device", Device),
            ("precision", Precision),
            ("decode", Decode),
        ):
            object.__setattr__(self, name, _one_of(kind, getattr(self, name), name))
        for name, most in (
            ("n_workers", MOST_WORKERS),
            ("batch_size", MOST_IN_BATCH),
            ("max_memory_bytes", None),
        ):
            check_count(name, getattr(self, name), most)
        _check_address(self)

    def on_this_machine(self) -> Self:
        """Make the options for work that is done on this machine, whatever the engine."""
        return replace(self, name="local", ray_address=None)


def _check_address(options: EngineOptions) -> None:
    address = options.ray_address
    if address is None:
        return
    if options.name != "ray":
        raise UsageProblem("--ray-address: only with --engine ray")
    if not re.fullmatch(r"auto|[\w.-]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5}", address):
        raise UsageProblem(f"--ray-address {address}: give HOST:PORT, or auto on a node of the cluster")
    if options.n_workers or options.max_memory_bytes:
        raise UsageProblem(
            "--ray-address: --workers and --max-memory hold for this machine only; give each node of the cluster "
            "its processors with ray start --num-cpus"
        )


def _one_of(kind: type[StrEnum], value: str, name: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError as error:
        raise UsageProblem(f"{name} {value!r}: give one of {', '.join(kind)}") from error
