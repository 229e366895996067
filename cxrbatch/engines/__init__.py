"""Engines: image references in, outcomes out (read, gate, preprocess, infer)."""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names

if TYPE_CHECKING:
    from cxrbatch.engines.engine import Engine, Result
    from cxrbatch.engines.options import Decode, EngineOptions
    from cxrbatch.engines.pool import WorkerPool, default_workers, prepare_in_order
    from cxrbatch.engines.registry import open_engine, open_resident_engine

__all__ = [
    "Decode",
    "Engine",
    "EngineOptions",
    "Result",
    "WorkerPool",
    "default_workers",
    "open_engine",
    "open_resident_engine",
    "prepare_in_order",
]

__getattr__ = lazy_names(
    __name__,
    engine=("Engine", "Result"),
    options=("Decode", "EngineOptions"),
    pool=("WorkerPool", "default_workers", "prepare_in_order"),
    registry=("open_engine", "open_resident_engine"),
)
