"""Records of places: an object of an S3 bucket, and a prefix that is screened as a folder is.

Without anything of the client that reads them (`cxrbatch.objects`), and without credentials, which are in the
environment only.
"""

import re
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from cxrbatch._lib.text import visible
from cxrbatch.errors import UsageProblem

NOWHERE = Path("/dev/null/object")
"""Path of a file that is an object: no file can have it, so that none is opened in its place."""
_SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_SETTINGS = re.compile(
    r"[?&](access_key|secret_key|session_token|endpoint_override|region|scheme)=", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectKey:
    """An object of a bucket."""

    bucket: str
    key: str

    @property
    def path(self) -> str:
        """Bucket and key as pyarrow takes them."""
        return f"{self.bucket}/{self.key}"

    @property
    def is_plain(self) -> bool:
        """False for a key with an empty part, ``.`` or ``..``: on its way it would become another key."""
        return not {"", ".", ".."} & set(self.key.split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPrefix:
    """Objects of a bucket below a prefix; written as ``s3://BUCKET/PREFIX``.

    Attributes
    ----------
    prefix : str
        Without a ``/`` at either end; empty for the whole bucket.
    """

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return _SCHEME + self.path

    @property
    def path(self) -> str:
        """Bucket and prefix as pyarrow takes them."""
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket

    def object(self, name: str) -> ObjectKey:
        """Return the object of a name below the prefix."""
        return ObjectKey(bucket=self.bucket, key=f"{self.prefix}/{name}" if self.prefix else name)


Place = Path | ObjectPrefix
"""What is screened: a folder, or a prefix of a bucket."""


def place_of(folder: str | PathLike[str] | ObjectPrefix) -> Place:
    """Decide whether a text is a folder, or a prefix of a bucket.

    Raises
    ------
    UsageProblem
        It begins as the address of a bucket and is none; what it holds is not repeated, it may be a secret.
    """
    if isinstance(folder, ObjectPrefix):
        return folder
    text = fspath(folder)
    if not text.lower().startswith("s3:/"):
        return Path(text)
    if not text.lower().startswith(_SCHEME):
        raise UsageProblem("s3: give s3://BUCKET/PREFIX, as text and not as a Path")
    bucket, _, prefix = text[len(_SCHEME) :].partition("/")
    if not _BUCKET.fullmatch(bucket) or _SETTINGS.search(prefix):
        raise UsageProblem(
            "s3://…: give s3://BUCKET/PREFIX; credentials, region and endpoint are taken from the environment only "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL)"
        )
    below = prefix.removesuffix("/")
    if prefix and not ObjectKey(bucket=bucket, key=f"{below}/x").is_plain:
        raise UsageProblem("s3://…: a prefix with an empty part, . or .. cannot be listed")
    return ObjectPrefix(bucket=bucket, prefix=below)


def check_outside(option: str, path: Path, folder: Path, called: str = "screened folder") -> None:
    """Check that what is written does not lie in a folder that is only read.

    Parameters
    ----------
    option : str
        That names the path, for the message.
    called : str
        What the folder is, for the message.

    Raises
    ------
    UsageProblem
        It does.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        raise UsageProblem(
            f"{option} {visible(str(path))}: lies inside the {called}, which is only read; choose another place"
        )
