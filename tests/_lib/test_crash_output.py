"""What libraries, threads and dying objects say, and the memory of a process that crashes."""

import resource
import subprocess
import sys

from tests.factories.cli_process import environment_with

LOUD = """
import logging, threading, warnings
from cxrbatch._lib.crash_output import suppress_library_output

suppress_library_output()
warnings.warn("Doe^Jane")
logging.getLogger("pydicom").error("Doe^Jane")
logging.error("Doe^Jane")

class Dying:
    def __del__(self):
        raise ValueError("Doe^Jane")

def fail():
    raise KeyError("Doe^Jane")

Dying()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
import resource
print(resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def ran(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", LOUD],
        env=environment_with(environment),
        capture_output=True,
        text=True,
        check=True,
    )


def test_no_word_of_a_patient_and_no_memory_dump() -> None:
    result = ran(PYTHONWARNINGS="always")
    assert result.stderr.splitlines() == ["Error: ValueError, ignored", "Error: KeyError, ignored"]
    assert result.stdout == "0\n"


def test_for_finding_a_fault_all_of_it() -> None:
    result = ran(PYTHONWARNINGS="always", CXRBATCH_DEBUG="1")
    assert result.stderr.count("Doe^Jane") >= 5
    assert int(result.stdout) == resource.getrlimit(resource.RLIMIT_CORE)[0]
