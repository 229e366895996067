"""100,000 objects of moto's store are listed, in memory that does not grow with their number."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.factories.object_store import BUCKET, KEY, SECRET, environment, moto_store

pytestmark = [pytest.mark.s3, pytest.mark.slow]
N_OBJECTS, IN_A_FOLDER = 100_000, 1000
MOST_MIB = 25
"""Beyond the client; a run holds a record of each file besides."""
LIST = f"""
from cxrbatch.objects import start_client
from cxrbatch.objects.listing import list_objects
from cxrbatch.records import place_of

def mib(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1024

start_client()
before = mib("VmRSS")
n = sum(1 for _ in list_objects(place_of("s3://{BUCKET}/a")))
print(n, round(mib("VmHWM") - before))
"""


@pytest.fixture
def filled() -> Iterator[str]:
    """A store with many objects; put there without a request for each."""
    pytest.importorskip("pyarrow")
    models = pytest.importorskip("moto.s3.models")
    boto3 = pytest.importorskip("boto3")
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    with moto_store() as url:
        boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=BUCKET)
        (backend,) = (account["aws"] for account in models.s3_backends.values() if "aws" in account)
        for number in range(N_OBJECTS):
            backend.put_object(BUCKET, f"a/{number // IN_A_FOLDER:03}/{number:06}.dcm", b"x")
        yield url


def test_many_objects_are_listed(filled: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST],
        env=os.environ | environment(filled),
        capture_output=True,
        text=True,
        check=True,
    )
    n_listed, mib = map(int, done.stdout.split())
    assert n_listed == N_OBJECTS
    assert mib < MOST_MIB
