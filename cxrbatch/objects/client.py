"""Client of the object store: environment in, pyarrow's file system out; what it raises becomes words of our own.

Its messages quote what the store sent, and its addresses may hold secrets: neither is passed on.
"""

import functools
import hashlib
import importlib
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cxrbatch.errors import UsageProblem
from cxrbatch.records import ObjectPrefix

_KEY, _SECRET, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_NO_OTHERS = {"AWS_EC2_METADATA_DISABLED": "true", "ARROW_IO_THREADS": "4"}
"""Set before pyarrow is imported: nothing is asked for credentials or a region, and few threads are started."""
_ATTEMPTS = 4
"""Of each request, with growing pauses between them: refused for too many requests, broken off, or not answered."""
_CONNECT_S = 5.0
_SILENT_S = 20.0
"""Time without a byte after which a request counts as not answered. A store may take seconds for a page of a list."""
_AGAIN_S = (0.5, 2.0)

T = TypeVar("T")

_PERMISSION = f"no permission; check {_KEY}, {_SECRET} and what they may do there"
_WORDS = {
    "NO_SUCH_BUCKET": "no such bucket",
    "NO_SUCH_KEY": "no such object",
    "ACCESS_DENIED": _PERMISSION,
    "INVALID_ACCESS_KEY_ID": _PERMISSION,
    "SIGNATURE_DOES_NOT_MATCH": _PERMISSION,
    "EXPIRED_TOKEN": f"{_TOKEN} has expired",
    "REQUEST_TIME_TOO_SKEWED": "the clock of this machine differs from that of the store",
    "NETWORK_CONNECTION": "the store does not answer; check AWS_ENDPOINT_URL, AWS_REGION and the network",
    "SLOW_DOWN": "the store refuses so many requests",
    "SERVICE_UNAVAILABLE": "the store is overloaded",
    "THROTTLING": "the store refuses so many requests",
}
_STATUS = {
    "301": "the bucket is in another region; set AWS_REGION",
    "307": "the bucket is in another region; set AWS_REGION",
    "400": "the store does not take the request; check AWS_REGION",
    "403": _PERMISSION,
    "429": "the store refuses so many requests",
    "503": "the store is overloaded, or refuses so many requests",
}


def in_words(error: OSError) -> str:
    """Say what went wrong, from the code of the error alone."""
    if isinstance(error, FileNotFoundError):
        return os.strerror(error.errno) if error.errno else "no such object"
    found = re.search(r"AWS Error ([A-Z0-9_]+)(?: \(HTTP status (\d{3})\))?", str(error))
    code, status = found.groups() if found else ("", "")
    return _WORDS.get(code) or _STATUS.get(status or "") or "the store failed"


def tried_again(action: Callable[[], T]) -> T:
    """Do something with the store; again, after a pause, where the store itself failed.

    The client tries most requests again by itself, but not one whose error is longer than the answer it waited for.
    """
    for pause_s in _AGAIN_S:
        try:
            return action()
        except OSError as error:
            if "INTERNAL_FAILURE" not in str(error):
                raise
        time.sleep(pause_s)
    return action()


def wrong_environment() -> str:
    """Say what is missing or wrong in the environment, without a value of it; empty where nothing is."""
    if sys.platform != "linux":
        return "object stores are read on Linux only"
    missing = [name for name in (_KEY, _SECRET) if not os.environ.get(name)]
    if missing:
        return f"set {' and '.join(missing)} in the environment"
    try:
        _endpoint()
    except ValueError:
        return "AWS_ENDPOINT_URL: give http://HOST:PORT or https://HOST, without user and password"
    return ""


def digest_of_environment() -> str:
    """Make a digest of region and endpoint, so that machines can compare them without telling them."""
    return hashlib.sha256(repr((_region(), _endpoint())).encode()).hexdigest()


def start_client() -> None:
    """Import pyarrow and start its client, without asking the store for anything.

    Raises
    ------
    UsageProblem
        It is not installed, or the environment lacks something.
    """
    client()


@functools.cache
def client() -> Any:
    """Return pyarrow's file system, one for each process; raises as `start_client` does."""
    if wrong := wrong_environment():
        raise UsageProblem(f"s3://…: {wrong}")
    for name, value in _NO_OTHERS.items():
        os.environ.setdefault(name, value)
    try:
        fs = importlib.import_module("pyarrow.fs")
    except ImportError as error:
        raise UsageProblem("s3://…: pyarrow is not installed; pip install 'cxrbatch[cluster]'") from error
    scheme, host = _endpoint()
    return fs.S3FileSystem(
        access_key=os.environ[_KEY],
        secret_key=os.environ[_SECRET],
        session_token=os.environ.get(_TOKEN) or None,
        region=_region(),
        scheme=scheme,
        endpoint_override=host,
        connect_timeout=_CONNECT_S,
        request_timeout=_SILENT_S,  # on Linux too, whatever pyarrow's documentation says
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )


def _region() -> str:
    return next(filter(None, map(os.environ.get, _REGIONS)), "us-east-1")


def _endpoint() -> tuple[str, str | None]:
    """Return scheme and host of the endpoint; no host: that of AWS."""
    stated = next(filter(None, map(os.environ.get, _ENDPOINTS)), "")
    if not stated:
        return "https", None
    parts = urlsplit(stated)
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError
    return parts.scheme, parts.netloc


def listed(path: str, *, recursive: bool) -> list[Any]:
    """Return what pyarrow lists below a path, in the order of the names; empty where nothing is.

    Raises
    ------
    OSError
        See `in_words`.
    """
    store = client()
    below = importlib.import_module("pyarrow.fs").FileSelector(path, recursive=recursive)
    try:
        infos: list[Any] = tried_again(lambda: store.get_file_info(below))
    except FileNotFoundError:
        return []
    infos.sort(key=lambda info: os.fsencode(info.path))
    return infos


def require_place(place: ObjectPrefix) -> None:
    """Check that there is something at a prefix.

    Raises
    ------
    UsageProblem
        There is nothing, or the store does not answer, or refuses.
    """
    store = client()
    try:
        (found,) = tried_again(lambda: store.get_file_info([place.path]))
    except OSError as error:
        raise UsageProblem(f"{place}: {in_words(error)}") from None
    if found.type.name == "NotFound":
        what = (
            "nothing is below this prefix; was the export written?"
            if place.prefix
            else _WORDS["NO_SUCH_BUCKET"]
        )
        raise UsageProblem(f"{place}: {what}")
