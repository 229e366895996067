"""Code that runs on the nodes of a Ray cluster: references in, prepared images and outcomes out.

Files are read as on one machine: by a process that may die of a file, within the same limits
(`cxrbatch.engines.pool`). This module does not import Ray, and TensorFlow only where a `Scorer` works.
"""

import functools
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from cxrbatch._lib.crash_output import suppress_library_output
from cxrbatch._lib.version import __version__
from cxrbatch.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from cxrbatch.engines.local import LocalEngine
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.pool import WorkerPool
from cxrbatch.engines.worker import Prepared
from cxrbatch.errors import CxrbatchError, WorkersFailed
from cxrbatch.gate import StoredCheck
from cxrbatch.objects import digest_of_environment, wrong_environment
from cxrbatch.prepare import PrepareOptions
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FoundFile, ImageRef, Outcome, Provenance

ENVIRONMENT: Mapping[str, str] = {
    "RAY_AUTH_MODE": "token",  # Ray's ports run the code of whoever reaches them
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_automatic_object_spilling_enabled": "0",  # it would write images to the disk
    "RAY_worker_niceness": "0",  # with Ray's 15, and 5 more of a reader, a busy machine hardly gets to it
}
"""Environment variables with which every node is started; one without them is refused."""

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "pillow", "pydicom", "imagecodecs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What every node has to have: plain values, which other versions of this package can read too.

    Attributes
    ----------
    bundle : str
        Folder of the bundle; empty for the one that is shipped.
    bundle_sha256 : str
        Its hash.
    versions : dict of str to str
        From `installed_versions`.
    store : str
        Digest of region and endpoint of the object store; empty where files are read from a disk.
    """

    bundle: str
    bundle_sha256: str
    versions: dict[str, str]
    store: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the processes of a run on the cluster have to know.

    Attributes
    ----------
    id : str
        Name of the run, for the processes that outlive it.
    reader_bytes : int
        Memory that each reader process may take for reading a file.
    block_s : float
        Time after which no further file of a block is begun.
    """

    id: str
    expected: Expected
    prepare: PrepareOptions
    options: EngineOptions
    reader_bytes: int
    block_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRead:
    """What is known of a block after it was read, without anything of a patient.

    Attributes
    ----------
    node : str
        Name of the host.
    n_files : int
        Files that were read or refused.
    seconds : float
        Time that reading took.
    missing : tuple of int
        Positions of files that are not there, as this node sees it.
    """

    node: str
    n_files: int
    seconds: float
    missing: tuple[int, ...]


def expected_of(bundle: Bundle, *, from_store: bool = False) -> Expected:
    """State what the nodes have to have to make the scores that this machine would make."""
    shipped = bundle.path.resolve() == DEFAULT_BUNDLE.resolve()
    return Expected(
        bundle="" if shipped else str(bundle.path.resolve()),
        bundle_sha256=bundle.sha256,
        versions=installed_versions(),
        store=digest_of_environment() if from_store else "",
    )


def installed_versions() -> dict[str, str]:
    """List the versions of Python and of the packages by which scores may differ."""
    python = ".".join(map(str, sys.version_info[:2]))
    return {"cxrbatch": __version__, "Python": python} | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def examine_node(bundle: str, bundle_sha256: str, versions: dict[str, str], store: str = "") -> str:
    """Compare the node with what is expected.

    Returns
    -------
    str
        What is wrong and what to do, with the name of the node; empty where nothing is.
    """
    wrong = [
        *_wrong_environment(),
        *_wrong_versions(versions),
        *_wrong_bundle(Path(bundle) if bundle else DEFAULT_BUNDLE, bundle_sha256),
        *_wrong_store(store),
    ]
    return f"node {platform.node()}: {'; '.join(wrong)}; see docs/cluster.md" if wrong else ""


def _wrong_environment() -> list[str]:
    return [
        f"Ray was started there without {name}={value}"
        for name, value in ENVIRONMENT.items()
        if os.environ.get(name) != value
    ]


def _wrong_versions(expected: dict[str, str]) -> list[str]:
    found = installed_versions()
    return [
        f"{name} {found.get(name, 'none')}, here {version}"
        for name, version in expected.items()
        if found.get(name) != version
    ]


def _wrong_bundle(path: Path, sha256: str) -> list[str]:
    try:
        found = load_bundle(path).sha256
    except CxrbatchError as error:
        return [str(error)]
    return [] if found == sha256 else [f"bundle {path} is {found[:12]}, here {sha256[:12]}"]


def _wrong_store(expected: str) -> list[str]:
    """Compare with what is needed to read objects: a node has the environment with which Ray was started there."""
    if not expected:
        return []
    if wrong := wrong_environment():
        return [f"before ray start, {wrong} there"]
    here = digest_of_environment() == expected
    return [] if here else ["AWS_REGION or AWS_ENDPOINT_URL is another one there"]


def read_block(job: Job, refs: Sequence[ImageRef]) -> tuple[BlockRead, list[Prepared]]:
    """Read a block of files; a file that kills its reader, or takes too long, fails alone.

    Returns
    -------
    BlockRead
    list of ModelInput or Failure
        One for each of `refs`, in their order; for the first of them only, if there was no time for the others.

    Raises
    ------
    WorkersFailed
        The node is not as expected, or a reader process cannot be started.
    """
    began = time.monotonic()
    reader = _reader(job)
    try:
        prepared = [item for _, item in reader.prepare(_until(began + job.block_s, refs))]
    except BaseException:
        _close_reader()
        raise
    missing = tuple(n for n, item in enumerate(prepared) if is_missing(refs[n], item))
    seconds = time.monotonic() - began
    known = BlockRead(node=platform.node(), n_files=len(prepared), seconds=seconds, missing=missing)
    return known, prepared


def _until(end: float, refs: Sequence[ImageRef]) -> Iterator[ImageRef]:
    """Yield the first reference, and others until a time has come."""
    yield refs[0]
    for ref in refs[1:]:
        if time.monotonic() > end:
            return
        yield ref


def is_missing(ref: FoundFile | ImageRef, item: object) -> bool:
    """Check whether a file could not be read because it is not there, as this node sees it."""
    if ref.object or not isinstance(item, Failure):
        return False
    return item.reason is Reason.UNREADABLE and not os.path.lexists(ref.path)


_open_readers: dict[str, WorkerPool] = {}


def _reader(job: Job) -> WorkerPool:
    """Return the reader of this process, one process below it; it stays for further blocks of the run."""
    if job.id not in _open_readers:
        _close_reader()
        suppress_library_output()
        _require(job.expected)
        _open_readers[job.id] = WorkerPool(_prepare_here(job), 1, job.reader_bytes)
    return _open_readers[job.id]


def _close_reader() -> None:
    while _open_readers:
        _open_readers.popitem()[1].__exit__(None, None, None)


def _require(expected: Expected) -> None:
    """Refuse to work where the node is not as expected: it may have joined after the run began."""
    if wrong := examine_node(expected.bundle, expected.bundle_sha256, expected.versions, expected.store):
        raise WorkersFailed(wrong)


def _bundle_here(expected: Expected) -> Bundle:
    return load_bundle(Path(expected.bundle) if expected.bundle else DEFAULT_BUNDLE)


def _prepare_here(job: Job) -> PrepareOptions:
    """Make the options of reading with the path that the bundle has on this node."""
    if job.prepare.pixel_check is None:
        return job.prepare
    return replace(job.prepare, pixel_check=StoredCheck(_bundle_here(job.expected).gate_path))


class Scorer:
    """Actor that scores prepared images, with the network, batch shape and threads of the local engine.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        suppress_library_output()
        self._job = job

    @functools.cached_property
    def _engine(self) -> LocalEngine:
        _require(self._job.expected)
        return LocalEngine(_bundle_here(self._job.expected), self._job.prepare, self._job.options)

    def start(self) -> Provenance:
        """Load bundle and network, if they are not loaded yet, and return the provenance of the scores."""
        return replace(self._engine.provenance, engine="ray")

    def score(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        """Score a block; one outcome for each item, in their order."""
        return [outcome for _, outcome in self._engine.score(enumerate(prepared))]
