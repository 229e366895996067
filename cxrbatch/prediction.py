"""Score single images: paths in, outcomes out, as a screening run would; save images with their result on them."""

import io
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from cxrbatch import gate
from cxrbatch._lib.atomic import make_folder, write_together
from cxrbatch.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from cxrbatch.discover import classify
from cxrbatch.engines import EngineOptions, Result, open_engine
from cxrbatch.prepare import decode_image
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, Failure, ImageRef, Outcome
from cxrbatch.report import annotated
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
    each = [paths] if isinstance(paths, str | PathLike) else paths
    found = [classify(Path(path), str(path)) for path in each]
    refs = [item for item in found if isinstance(item, ImageRef)]
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    words = load_header_words(None if header_words is None else Path(header_words))
    with open_engine(loaded, options, header_words=words) as engine:
        yield from _in_order(found, engine.run(refs))


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


def save_annotated(outcome: Outcome, path: Path, target: Path) -> None:
    """Save the image at `path` with its result written on it; only the result where the image cannot be decoded.

    Raises
    ------
    OutputError
        The target cannot be written.
    """
    is_safe = not isinstance(outcome, Failure) or outcome.reason not in _NOT_READ_AGAIN
    stream = io.BytesIO()
    annotated(_decoded(path) if is_safe else None, outcome).save(stream, "PNG")
    make_folder(target.parent)
    write_together({target: stream.getvalue()})


def _decoded(path: Path) -> CxrImage | None:
    try:
        return decode_image(path, gate.check_size)
    except (Refusal, OSError):
        return None
