"""Score single images: paths in, outcomes out, as a screening run would; save images with their result on them."""

import io
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from cxrbatch import gate
from cxrbatch._lib.atomic import make_folder, write_together
from cxrbatch._lib.clock import system_clock
from cxrbatch.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from cxrbatch.discover import classify
from cxrbatch.engines import Decode, EngineOptions, Result, open_engine, prepare_in_order
from cxrbatch.explain import Explanation, explain
from cxrbatch.prepare import PrepareOptions, decode_image
from cxrbatch.preprocess import content_box, full_box
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, Failure, ImageRef, ImageScore, ModelInput, Outcome
from cxrbatch.report import Overlay, annotated
from cxrbatch.terms import load_header_words

Source = str | PathLike[str]

_NOT_READ_AGAIN = (Reason.CORRUPT, Reason.TIMEOUT, Reason.TOO_LARGE)
"""Reasons of files that may have ended a worker process: they are not decoded in this process."""


def predict(
    paths: Source | Iterable[Source],
    bundle: Bundle | Source = DEFAULT_BUNDLE,
    options: EngineOptions = EngineOptions(),
    header_words: Source | None = None,
) -> Iterator[Outcome]:
    """Score single images as `cxrbatch.screen` would.

    Parameters
    ----------
    paths : path or iterable of path
    bundle : Bundle or path
        A bundle or its folder; by default the bundle that is part of cxrbatch.
    options : EngineOptions
    header_words : path, optional
        File with words of the hospital for body parts and views (`cxrbatch.terms.HeaderWords`).

    Yields
    ------
    ImageScore or Failure
        One for each path, in the same order; its name is the path as given.

    Raises
    ------
    CxrbatchError
        The bundle or the words cannot be used, or worker processes cannot be started.
    """
    found = _classified(paths)
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    words = load_header_words(None if header_words is None else Path(header_words))
    with open_engine(loaded, options, header_words=words) as engine:
        yield from _in_order(found, engine.run(_refs(found)))


def predict_explained(
    paths: Source | Iterable[Source],
    bundle: Bundle,
    options: EngineOptions = EngineOptions(),
    header_words: Source | None = None,
) -> Iterator[tuple[Outcome, Explanation | None]]:
    """Score single images as `predict` does, and find where the network looked.

    Images with a score are read once more, in worker processes; parameters and errors as of `predict`.

    Yields
    ------
    tuple of (ImageScore or Failure) and (Explanation or None)
        None for a failure, and where the image cannot be read again.
    """
    found = _classified(paths)
    words = load_header_words(None if header_words is None else Path(header_words))
    with open_engine(bundle, options, header_words=words) as engine:
        outcomes = list(_in_order(found, engine.run(_refs(found))))
        pairs = zip(found, outcomes, strict=True)
        refs = [
            item for item, outcome in pairs if isinstance(item, ImageRef) and isinstance(outcome, ImageScore)
        ]
        prepare = PrepareOptions(
            spec=bundle.preprocess,
            header_words=words,
            full_size=options.decode is Decode.FULL,
            limits=options.limits,
        )
        inputs = prepare_in_order(refs, prepare, options) if refs else iter(())
        network = engine.network if refs else None
        for outcome in outcomes:
            is_scored = isinstance(outcome, ImageScore)
            yield outcome, _explained(next(inputs), network) if is_scored else None


def _explained(prepared: ModelInput | Failure, network: Any) -> Explanation | None:
    return next(explain(prepared.pixels[None], network)) if isinstance(prepared, ModelInput) else None


def _classified(paths: Source | Iterable[Source]) -> list[ImageRef | Failure]:
    each = [paths] if isinstance(paths, str | PathLike) else paths
    return [classify(Path(path), str(path)) for path in each]


def _refs(found: Iterable[ImageRef | Failure]) -> list[ImageRef]:
    return [item for item in found if isinstance(item, ImageRef)]


def _in_order(found: Sequence[ImageRef | Failure], results: Iterator[Result]) -> Iterator[Outcome]:
    """Put outcomes into the order of the references; the engine starts when the first outcome is taken."""
    early: defaultdict[ImageRef, deque[Outcome]] = defaultdict(deque)
    for item in found:
        if isinstance(item, Failure):
            yield item
            continue
        while not early[item]:
            ref, outcome = next(results)
            early[ref].append(outcome)
        yield early[item].popleft()


def result_names(paths: Iterable[Path]) -> list[str]:
    """Name the annotated images: ``<name of the image>.result.png``, numbered where names are equal."""
    used: Counter[str] = Counter()
    names = []
    for path in paths:
        used[path.name] += 1
        number = f".{used[path.name]}" if used[path.name] > 1 else ""
        names.append(f"{path.name}{number}.result.png")
    return names


def save_annotated(
    outcome: Outcome,
    path: Path,
    target: Path,
    explanation: Explanation | None = None,
    bundle: Bundle | None = None,
) -> None:
    """Save the image at `path` with its result written on it; only the result where the image cannot be decoded.

    Parameters
    ----------
    outcome : ImageScore or Failure
    path, target : Path
    explanation : Explanation, optional
        Its maps are drawn beside the image.
    bundle : Bundle, optional
        Named under the image, with the date; needed for maps.

    Raises
    ------
    OutputError
        The target cannot be written.
    """
    is_safe = not isinstance(outcome, Failure) or outcome.reason not in _NOT_READ_AGAIN
    image = _decoded(path) if is_safe else None
    stream = io.BytesIO()
    annotated(image, outcome, _overlays(image, explanation, bundle), _origin(bundle)).save(stream, "PNG")
    make_folder(target.parent)
    write_together({target: stream.getvalue()})


def _overlays(
    image: CxrImage | None, explanation: Explanation | None, bundle: Bundle | None
) -> tuple[Overlay, ...]:
    """Find where the maps lie on an image: over what the network got of it."""
    if image is None or explanation is None or bundle is None:
        return ()
    tolerance = bundle.preprocess.trim_tolerance
    box = content_box(image.grey_image, tolerance) if tolerance else full_box(image.grey_image)
    return tuple(Overlay(evidence=one, box=box) for one in explanation.evidence)


def _origin(bundle: Bundle | None) -> str:
    return f"{bundle.id}, {system_clock():%Y-%m-%d}" if bundle else ""


def _decoded(path: Path) -> CxrImage | None:
    try:
        return decode_image(path, gate.check_size)
    except (Refusal, OSError):
        return None
