"""Errors that end a run, each with the exit code it leaves.

A file that cannot be scored is not an error but a `cxrbatch.records.Failure`.

::

    CxrbatchError            1  the run failed
    ├── BundleError          1  the bundle is broken, or not the one it says it is
    ├── OutputError          1  the report cannot be written
    ├── RecipeError          2  a recipe is wrong
    ├── UsageProblem         2  the command line is wrong
    └── NoImageFound         4  not one image in the folder
"""


class CxrbatchError(Exception):
    """Ends the run with one clear line: what, where, what to do."""

    exit_code = 1


class BundleError(CxrbatchError):
    """The bundle is broken, or not the one it says it is."""


class OutputError(CxrbatchError):
    """The report cannot be written."""


class RecipeError(CxrbatchError):
    """A recipe has an unknown key or a value out of range."""

    exit_code = 2


class UsageProblem(CxrbatchError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


class NoImageFound(CxrbatchError):
    """Not one image in the folder: an unmounted export must not look like a quiet night."""

    exit_code = 4
