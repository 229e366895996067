"""The list of licences and the bill of materials name what is pinned, and say of it what its metadata say."""

import datetime as dt
import json
import re
from functools import lru_cache
from importlib.metadata import Distribution, distributions
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from release.licences import READ_IN_THE_FILE, TABLE, spdx, stated_licences, with_table
from release.lock import DEFAULT, needed_for, read_lock

PINS = read_lock()
TEXT = TABLE.read_text(encoding="utf-8")
LICENCES = stated_licences(TEXT)
MOMENT = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


def installed() -> dict[str, Distribution]:
    """Packages of this environment that are pinned, whatever their version."""
    found: dict[str, Distribution] = {canonicalize_name(each.name): each for each in distributions()}
    return {pin.name: found[pin.name] for pin in PINS if pin.name in found}


def test_pins_are_read_with_what_asks_for_them() -> None:
    by_name = {pin.name: pin for pin in PINS}
    assert by_name["requests"].asked_by == ("ray", "tensorflow")
    assert set(by_name["numpy"].asked_by) > {"cxrbatch", "pandas"}
    assert [pin.marker for pin in PINS if pin.name == "imagecodecs"] == [
        'python_full_version < "3.12"',
        'python_full_version >= "3.12"',
    ]
    assert "colorama" not in by_name  # of Windows
    assert all(pin.hashes and pin.asked_by for pin in PINS)


def test_what_a_package_is_needed_for() -> None:
    reasons = needed_for(PINS)
    assert reasons["numpy"] == reasons["certifi"] == (DEFAULT,)
    assert (reasons["sqlparse"], reasons["jsonschema"]) == (("web",), ("cluster",))
    assert {name for name, why in reasons.items() if "gpu" in why} == {
        name for name in reasons if name.startswith("nvidia-")
    }
    assert all(reasons.values())
    assert set().union(*reasons.values()) == {
        DEFAULT,
        "cluster",
        "gpu",
        "hl7",
        "litert",
        "parquet",
        "train",
        "web",
    }


def test_the_list_of_licences_is_that_of_the_lock() -> None:
    """Else: make licences."""
    assert set(LICENCES) == {(pin.name, pin.version) for pin in PINS}
    assert with_table(TEXT, LICENCES, PINS) == TEXT


def test_licences_are_those_of_the_metadata_of_what_is_installed() -> None:
    stated = {
        (name, each.version): spdx(name, each.metadata.json)
        for name, each in installed().items()
        if (name, each.version) in LICENCES
    }
    assert len(stated) > 20
    assert stated.items() <= LICENCES.items()


def test_every_licence_that_is_not_permissive_is_explained() -> None:
    above = TEXT.partition("## Packages")[0]
    for (name, _), licence in LICENCES.items():
        if re.search("GPL|MPL|EPL|LicenseRef|ZPL", licence):
            assert f"`{'nvidia-…' if name.startswith('nvidia-') else name}`" in above, name
    assert {name for name, _ in LICENCES} >= set(READ_IN_THE_FILE)


def test_shared_libraries_of_gcc_are_named_with_the_wheel_that_holds_them() -> None:
    """They are under the GPL with an exception, or the LGPL, and metadata do not say so."""
    of_gcc = re.compile(r"lib(?:gfortran|gomp|quadmath|stdc\+\+|gcc_s)\b")
    found = {
        (name, matched[0])
        for name, each in installed().items()
        for file in each.files or ()
        if (matched := of_gcc.match(file.name))
    }
    assert ("numpy", "libquadmath") in found
    bullets = TEXT.partition("## Packages")[0].split("\n* ")
    for name, library in found:
        assert any(f"`{name}`" in bullet and f"`{library}`" in bullet for bullet in bullets), (name, library)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ({"license_expression": "MIT OR Apache-2.0", "license": "see file"}, "MIT OR Apache-2.0"),
        ({"license": "Apache 2.0"}, "Apache-2.0"),
        ({"classifier": ["Topic :: Text", "License :: OSI Approved :: MIT License"]}, "MIT"),
        (
            {
                "license": "Copyright (c) …\nlong text",
                "classifier": ["License :: OSI Approved :: MIT License"],
            },
            "MIT",
        ),
        ({"license": "UNKNOWN"}, None),
        ({}, None),
        ({"license": "ask me"}, None),
        ({"classifier": ["License :: OSI Approved :: BSD License"]}, None),
    ],
)
def test_metadata_say_the_licence_or_somebody_has_to_read_it(
    metadata: dict[str, Any], licence: str | None
) -> None:
    if licence:
        assert spdx("some", metadata) == licence
    else:
        with pytest.raises(ValueError, match="some: its metadata do not say the licence: read it"):
            spdx("some", metadata)


@lru_cache
def bill(version: str = "1.0.0") -> dict[str, Any]:
    pytest.importorskip("cyclonedx")
    from release.sbom import sbom

    content: dict[str, Any] = json.loads(sbom(version, MOMENT, PINS, LICENCES))
    return content


def test_the_bill_of_materials_names_what_is_pinned_with_hashes_and_licences() -> None:
    components = {(each["name"], each["version"]): each for each in bill()["components"]}
    assert set(components) == {(pin.name, pin.version) for pin in PINS}
    reasons = needed_for(PINS)
    for pin in PINS:
        component: dict[str, Any] = components[pin.name, pin.version]
        (distribution,) = component["externalReferences"]
        assert {each["content"] for each in distribution["hashes"]} == set(pin.hashes)
        (stated,) = component["licenses"]
        stated = stated.get("license", stated)
        assert (stated.get("expression") or stated.get("id") or stated["name"]) == LICENCES[
            pin.name, pin.version
        ]
        assert component["scope"] == ("required" if reasons[pin.name] == (DEFAULT,) else "optional")


def test_the_bill_of_materials_says_what_needs_what() -> None:
    content = bill()
    assert content["metadata"]["component"]["purl"] == "pkg:pypi/cxrbatch@1.0.0"
    needs = {each["ref"]: set(each.get("dependsOn", ())) for each in content["dependencies"]}
    assert "pkg:pypi/pydicom@3.0.2" in needs["pkg:pypi/cxrbatch@1.0.0"]
    assert {re.split("[/@]", ref)[1] for ref in needs["pkg:pypi/jinja2@3.1.6"]} == {"markupsafe"}
    assert {re.split("[/@]", ref)[1] for ref in needs} == {pin.name for pin in PINS} | {"cxrbatch"}


def test_the_bill_of_materials_is_the_same_each_time_and_names_no_index() -> None:
    first = bill()
    bill.cache_clear()
    assert bill() == first
    assert bill()["serialNumber"] != bill("1.0.1")["serialNumber"]
    addresses = re.findall(r'[^"]*://[^"]*', json.dumps(bill()))
    assert addresses == ["http://cyclonedx.org/schema/bom-1.6.schema.json"]


def test_the_bill_of_materials_is_of_the_schema() -> None:
    pytest.importorskip("jsonschema")
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill())) is None
