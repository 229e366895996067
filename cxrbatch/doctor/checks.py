"""Run all checks of the doctor: setup in, observations out. Nothing is changed.

A check is a function of a `Setup` that yields observations; `CHECKS` lists all checks.
"""

from collections.abc import Callable, Iterator

from cxrbatch.doctor import bundle, decoders, packages, paths, state
from cxrbatch.doctor.check import Observation, Setup, from_error, problem
from cxrbatch.errors import CxrbatchError

CHECKS: dict[str, Callable[[Setup], Iterator[Observation]]] = {
    "Python": packages.python,
    "packages": packages.packages,
    "bundle": bundle.bundle,
    "network": bundle.network,
    "header words": paths.header_words,
    "decoder": decoders.decoders,
    "readers": decoders.readers,
    "export": paths.export,
    "report": paths.report,
    "metrics": paths.metrics,
    "notify": paths.notify,
    "pseudonyms": paths.pseudonyms,
    "state": state.state,
    "disk": paths.disk,
}


def examine(setup: Setup) -> Iterator[Observation]:
    """Run all checks, one after the other; an error in a check becomes a problem of this check."""
    for name, check in CHECKS.items():
        try:
            yield from check(setup)
        except CxrbatchError as error:
            yield from_error(error, name)
        except OSError as error:
            yield problem(name, f"cannot be checked: {error.strerror}", "run as the user who runs the night")
        except Exception as error:
            yield problem(name, f"cannot be checked: {type(error).__name__}", "report this to the project")
