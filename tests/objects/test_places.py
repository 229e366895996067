"""Addresses of buckets; what looks like a secret in one is never repeated."""

from pathlib import Path

import pytest

from cxrbatch.errors import UsageProblem
from cxrbatch.records import ObjectPrefix, place_of


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://export", "export", ""),
        ("s3://export/", "export", ""),
        ("s3://export/2026/night", "export", "2026/night"),
        ("s3://export/2026/night/", "export", "2026/night"),
        ("S3://export/a b/é?x=1&y", "export", "a b/é?x=1&y"),
    ],
)
def test_what_it_says(text: str, bucket: str, prefix: str) -> None:
    place = place_of(text)
    assert place == ObjectPrefix(bucket=bucket, prefix=prefix)
    assert str(place) == f"s3://{bucket}/{prefix}".removesuffix("/")
    assert place_of(str(place)) == place_of(place) == place


def test_a_folder_stays_one() -> None:
    assert place_of("export/s3:/x") == Path("export/s3:/x")
    assert place_of(Path("/export")) == Path("/export")


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAPLANTED:secret@bucket/prefix",
        "s3://AKIAPLANTED:sec/ret@bucket/prefix",
        "s3://AKIAPLANTED@bucket/prefix",
        "s3://bucket/prefix?secret_key=AKIAPLANTED",
        "s3://bucket/prefix?a=b&Access_Key=AKIAPLANTED",
        "s3://bucket/prefix?endpoint_override=AKIAPLANTED",
        "s3://",
        "s3:///prefix",
    ],
)
def test_no_secret_in_an_address(text: str) -> None:
    with pytest.raises(UsageProblem, match="from the environment only") as error:
        place_of(text)
    assert not {"PLANTED", "secret", "ret@"} & set(str(error.value).replace("SECRET", "").split("_"))
    assert "PLANTED" not in str(error.value)


@pytest.mark.parametrize("text", ["s3://bucket/a//b", "s3://bucket//", "s3://bucket/../a", "s3://bucket/."])
def test_prefixes_that_cannot_be_listed(text: str) -> None:
    with pytest.raises(UsageProblem, match="cannot be listed"):
        place_of(text)


def test_a_path_has_lost_a_slash() -> None:
    with pytest.raises(UsageProblem, match="as text and not as a Path"):
        place_of(Path("s3://bucket/prefix"))


@pytest.mark.parametrize(
    ("key", "is_plain"),
    [("a/b c/é.dcm", True), ("a//b", False), ("/a", False), ("a/", False), ("a/../b", False), ("./a", False)],
)
def test_keys_that_would_become_others(key: str, is_plain: bool) -> None:
    assert ObjectPrefix(bucket="b").object(key).is_plain == is_plain
