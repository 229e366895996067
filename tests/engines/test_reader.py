"""Freed memory is used again."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from cxrbatch.engines.reader import retain_freed_memory
if sys.argv[1:]:
    retain_freed_memory()
pictures = 20
for n in range(pictures + 1):
    np.ones(15_000_000 // 8)
    if n == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // pictures)
"""


def page_faults(*arguments: str) -> int:
    """For each array of the size of a radiograph."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_a_large_array_uses_the_memory_of_the_one_before() -> None:
    assert page_faults("keep") * 10 < page_faults()
