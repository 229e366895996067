"""Open an engine by its name: bundle and options in, `Engine` out. All engines prepare files alike."""

from collections.abc import Mapping
from typing import Any

from cxrbatch.bundle import Bundle
from cxrbatch.engines.engine import Engine, EngineFactory
from cxrbatch.engines.local import LocalEngine
from cxrbatch.engines.options import Decode, EngineOptions
from cxrbatch.engines.ray import RayEngine
from cxrbatch.engines.resident import OnInput, ResidentEngine
from cxrbatch.errors import UsageProblem
from cxrbatch.gate import StoredCheck
from cxrbatch.infer import choose_runtime
from cxrbatch.prepare import PrepareOptions
from cxrbatch.terms import HeaderWords

ENGINES: Mapping[str, EngineFactory] = {"local": LocalEngine, "ray": RayEngine}
"""Engines by `EngineOptions.name`. All return the same outcomes (``tests/engines/test_engines.py``)."""


def open_engine(bundle: Bundle, options: EngineOptions, **given: Any) -> Engine:
    """Make the engine that the options name; it starts when its context is entered.

    Parameters
    ----------
    **given : any
        Fields of `cxrbatch.prepare.PrepareOptions`, but those that bundle and options decide.

    Raises
    ------
    UsageProblem
        There is no engine of this name, or the runtime that was asked for cannot run this bundle.
    """
    if options.name not in ENGINES:
        raise UsageProblem(f"engine {options.name!r}: give one of {', '.join(ENGINES)}")
    choose_runtime(bundle, options.runtime, options.device, options.precision)
    return ENGINES[options.name](bundle, _prepare_options(bundle, options, **given), options)


def open_resident_engine(
    bundle: Bundle,
    options: EngineOptions,
    *,
    header_words: HeaderWords = HeaderWords(),
    thumbnail_px: int = 0,
    on_input: OnInput | None = None,
) -> Engine:
    """Make an engine of this machine that keeps its readers from one run to the next, for a service.

    Parameters
    ----------
    on_input
        As in `cxrbatch.engines.resident.ResidentEngine`.
    """
    choose_runtime(bundle, options.runtime, options.device, options.precision)
    given = {"header_words": header_words, "thumbnail_px": thumbnail_px}
    return ResidentEngine(bundle, _prepare_options(bundle, options, **given), options, on_input)


def _prepare_options(bundle: Bundle, options: EngineOptions, **given: Any) -> PrepareOptions:
    return PrepareOptions(
        spec=bundle.preprocess,
        pixel_check=StoredCheck(bundle.gate_path),
        full_size=options.decode is Decode.FULL,
        limits=options.limits,
        **given,
    )
