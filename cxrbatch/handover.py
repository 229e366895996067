"""Files that others are still writing: left alone tonight, and screened on the next one."""

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FoundFile

_TEMPORARY_ENDINGS = (".part", ".tmp", ".lock")


def is_temporary(name: str) -> bool:
    """Whether a name says that the file, or the one that it stands beside, is still being written."""
    return name.lower().endswith(_TEMPORARY_ENDINGS)


def still_changing(file: FoundFile, settle_s: float, now_ns: int) -> Failure | None:
    """Refuse a file that may still be written to.

    Parameters
    ----------
    settle_s : float
        Seconds for which a file must have been left alone. A clock of the file server that runs ahead by less than
        this counts too; one that is further ahead says nothing about the file.
    now_ns : int
        The present, in nanoseconds since 1970 UTC.

    Returns
    -------
    Failure or None
        None: it may be read.
    """
    if is_temporary(file.name):
        return _refused(file, "its name says that it is still being written")
    age_s = abs(now_ns - file.version.mtime_ns) / 1e9
    if age_s < settle_s:
        return _refused(file, f"last modified less than {settle_s:g} s ago")
    return None


def _refused(file: FoundFile, detail: str) -> Failure:
    return Failure(name=file.name, reason=Reason.STILL_CHANGING, detail=detail)
