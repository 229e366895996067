"""Suppress what native libraries write to stderr: no setting of theirs does this for all of it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr(*, also_failing: bool = False) -> Iterator[None]:
    """Suppress the output on stderr (file descriptor 2) within a block, and show it after all where the block fails.

    Parameters
    ----------
    also_failing : bool
        Do not show it then either.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except Exception:
            if not also_failing:
                noise.seek(0)
                os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
