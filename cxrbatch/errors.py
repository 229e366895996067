"""Errors that end a run, each with its exit code.

A file that cannot be scored is not an error but a `cxrbatch.records.Failure`.

::

    CxrbatchError            1  the run failed
    ├── BundleError          1  the bundle is broken, or not the one that it claims to be
    ├── OutputError          1  the report cannot be written
    │   └── NoLocks          1  the file system has no locks
    ├── StateError           1  the state cannot be used
    │   ├── NewerState       1  a newer cxrbatch wrote it
    │   └── OlderState       1  an older cxrbatch wrote it, and it is only read
    ├── ExportVanished       1  the folder went away during the run
    ├── WorkersFailed        1  worker processes cannot be started
    ├── RecipeError          2  a recipe is wrong
    ├── UsageProblem         2  the command line is wrong
    ├── NoImageFound         4  not one image in the folder
    └── Locked               5  another run is active
"""


class CxrbatchError(Exception):
    """Base class: ends the run with one clear line (what, where, what to do)."""

    exit_code = 1


class BundleError(CxrbatchError):
    """The bundle is broken, or not the one that it claims to be."""


class OutputError(CxrbatchError):
    """The report cannot be written."""


class NoLocks(OutputError):
    """The file system has no locks, such as some network shares."""


class StateError(CxrbatchError):
    """The state cannot be read or written."""


class NewerState(StateError):
    """A newer cxrbatch wrote the state."""


class OlderState(StateError):
    """An older cxrbatch wrote the state, and whoever only reads it does not bring it up to date."""


class ExportVanished(CxrbatchError):
    """The folder disappeared during the run: an unmounted share must not look like a folder of broken files."""


class WorkersFailed(CxrbatchError):
    """Worker processes end before they have read anything: caused by the machine, not by a file."""


class RecipeError(CxrbatchError):
    """A recipe has an unknown key or a value out of range."""

    exit_code = 2


class UsageProblem(CxrbatchError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


class NoImageFound(CxrbatchError):
    """Not one image in the folder: an unmounted export must not look like a night without radiographs."""

    exit_code = 4


class Locked(CxrbatchError):
    """Another run uses the same state or report."""

    exit_code = 5
