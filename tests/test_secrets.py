"""Values of patients, planted in every place of sound and damaged files, turn up where they are wanted only."""

import sqlite3
import subprocess
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image, PngImagePlugin
from pydicom import uid
from pydicom.dataset import Dataset

from tests.factories.cli_process import cxrbatch, hooked
from tests.factories.dicom_files import write_dicom

NAME = "Quasimodo^Esmeralda"
SHOWN = {
    "PatientID": "PID-987654",
    "IssuerOfPatientID": "ISSUER-4711",
    "AccessionNumber": "ACC-123456",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111111",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.222222",
}
"""What the report may hold, for someone must find the patient."""
HIDDEN: dict[str, str] = {
    "PatientName": NAME,
    "PatientBirthDate": "19110317",
    "PatientBirthTime": "031733.125",
    "OtherPatientIDs": "OTHERID-31",
    "OtherPatientNames": "Zephyrine^Fleur",
    "PatientBirthName": "Frollo^Djali",
    "PatientMotherBirthName": "Gudule^Paquette",
    "PatientAddress": "Parvis 77, Paris",
    "PatientTelephoneNumbers": "+33 1 4234 5610",
    "PatientComments": "rings the bells",
    "AdditionalPatientHistory": "fell from tower",
    "MedicalRecordLocator": "MRL-86420",
    "EthnicGroup": "EGYPTIENNE",
    "Occupation": "Glockner",
    "ReferringPhysicianName": "Gringoire^Pierre",
    "PerformingPhysicianName": "Chateaupers^Ph",
    "OperatorsName": "Clopin^Trouillefou",
    "InstitutionName": "Hotel-Dieu 1482",
    "InstitutionAddress": "Rue de la Cite 1",
    "StationName": "STATION-NDP",
    "DeviceSerialNumber": "SERIAL-909090",
    "StudyID": "STUDYID-5150",
    "StudyDescription": "Thorax of Esm Q",
    "SeriesDescription": "Series of Esm Q",
    "ImageComments": "hump at left",
    "RequestedProcedureDescription": "for Dom Claude",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.333333",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.444444",
}
PRIVATE, NESTED, PREAMBLE, ACCENTED = "PRIVATE-1831", "NESTED-1832", "PREAMBLE-1833", "Hélène^Müller"
FILE_NAME = "NAMED-1834"
"""In the names of all files: whoever exports them often writes the PatientID there."""
WORKING = (
    *("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "NumberOfFrames", "PatientAge"),
    *("StudyDate", "PhotometricInterpretation", "ViewPosition", "Modality", "BodyPartExamined", "PatientSex"),
    *("PresentationLUTShape", "SpecificCharacterSet", "PixelIntensityRelationship", "ImagerPixelSpacing"),
    *("LossyImageCompression", "SOPClassUID", "PresentationIntentType", "PatientOrientation", "ImageType"),
)
"""Elements that the program works with: a name in the wrong one is what their readers stumble over and quote."""
LOUD = {"PYTHONWARNINGS": "default", "PYTHONFAULTHANDLER": "1", "WATCH_SECRET": NAME}
WRONG_VRS = (b"UI", b"DS", b"IS", b"DA", b"AT", b"US", b"FD", b"SQ", b"XX")
STORED = np.rint(radiograph(200, 200, seed=1) * 4095).astype(np.uint16)


def planted_header() -> dict[str, Any]:
    inner = Dataset()
    inner.PatientID, inner.PatientName = NESTED, NESTED
    private = {"OtherPatientIDsSequence": [inner], "RequestAttributesSequence": [inner]}
    return {**SHOWN, **HIDDEN, **private}


def planted(path: Path, **elements: Any) -> bytes:
    """Write a radiograph with somebody's data in every element, and return the file."""
    write_dicom(path, STORED, **(planted_header() | elements))
    content = path.read_bytes()
    private = b"\x11\0\x10\0LO\x0a\0CXR SECRET\x11\0\x01\x10LO\x0c\0" + PRIVATE.encode()
    image_group = content.index(b"\x18\0\x15\0CS")
    content = PREAMBLE.encode().ljust(128, b"\0") + content[128:image_group] + private + content[image_group:]
    path.write_bytes(content)
    return content


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    content = planted(folder / f"{FILE_NAME}.dcm")
    _plant_bad_values(folder)
    _plant_wrong_vrs(folder, content)
    _plant_cuts(folder, content)
    _plant_pictures(folder)
    for what in ("abort", "killed", "raises"):  # see tests.factories.cli_process
        planted(folder / f"{FILE_NAME}-{what}.dcm", SOPInstanceUID=f"{SHOWN['SOPInstanceUID']}.{len(what)}")
    return folder


def _plant_bad_values(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in WORKING:
            try:
                planted(folder / f"{FILE_NAME}-{keyword}.dcm", **{keyword: NAME})
            except (
                TypeError,
                ValueError,
            ):  # pydicom writes no such thing: a text of that length is put there
                planted_bytes(folder, keyword)
        planted(folder / f"{FILE_NAME}-latin1.dcm", SpecificCharacterSet="ISO_IR 100", PatientName=ACCENTED)
        planted(folder / f"{FILE_NAME}-utf8.dcm", SpecificCharacterSet="ISO_IR 192", PatientName=ACCENTED)
        planted(folder / f"{FILE_NAME}-long.dcm", WindowCenterWidthExplanation=NAME * 40, StudyID=NAME * 40)
        planted(folder / f"{FILE_NAME}-uid.dcm", SeriesInstanceUID=NAME, FrameOfReferenceUID=NAME)
        planted(folder / f"{FILE_NAME}-rows.dcm", Rows=60_000)


def planted_bytes(folder: Path, keyword: str) -> None:
    """Put the name where a number of the same length was."""
    number = "3.141592653589793"[: len(NAME) - len(NAME) % 2 - 2]
    path = folder / f"{FILE_NAME}-{keyword}.dcm"
    value = "1" * 12 if keyword == "NumberOfFrames" else number
    content = planted(path, **{keyword: value})
    path.write_bytes(content.replace(value.encode(), NAME.encode()[: len(value)]))


def _plant_wrong_vrs(folder: Path, content: bytes) -> None:
    for tag in (
        b"\x10\0\x10\0",
        b"\x10\0\x30\0",
        b"\x10\0\x20\0",
        b"\x08\0\x50\0",
        b"\x08\0\x90\0",
        b"\x20\0\x0d\0",
    ):
        place = content.index(tag) + 4
        for vr in WRONG_VRS:
            wrong = content[:place] + vr + content[place + 2 :]
            (folder / f"{FILE_NAME}-{tag.hex()}-{vr.decode()}.dcm").write_bytes(wrong)


def _plant_cuts(folder: Path, content: bytes) -> None:
    places = [content.index(text.encode()) + 4 for text in (NAME, *SHOWN.values(), *HIDDEN.values(), PRIVATE)]
    for place in (*places, 200, 400, len(content) - 1000):
        (folder / f"{FILE_NAME}-cut{place}.dcm").write_bytes(content[:place])
    (folder / f"{FILE_NAME}-no-preamble").write_bytes(content[132:])
    (folder / f"{FILE_NAME}-syntax.dcm").write_bytes(
        content.replace(uid.ExplicitVRLittleEndian.encode(), b"9.9.9")
    )
    (folder / f"{FILE_NAME}.txt").write_text(str(planted_header()))
    (folder / f"{FILE_NAME}-text.dcm").write_text(str(planted_header()))


def _plant_pictures(folder: Path) -> None:
    picture = Image.fromarray(np.rint(radiograph(200, 200, seed=1) * 255).astype(np.uint8))
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", NAME)
    text.add_text("Comment", NAME * 50, zip=True)
    picture.save(folder / f"{FILE_NAME}.png", pnginfo=text)
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x9C9C] = NAME, NAME, NAME.encode("utf-16-le")
    picture.save(folder / f"{FILE_NAME}.jpg", exif=exif, comment=NAME.encode())
    for suffix in (".png", ".jpg"):
        content = (folder / f"{FILE_NAME}{suffix}").read_bytes()
        place = content.index(NAME.encode())
        (folder / f"{FILE_NAME}-cut{suffix}").write_bytes(content[: place + 9])
        (folder / f"{FILE_NAME}-short{suffix}").write_bytes(content[: len(content) * 3 // 4])
        flipped = (
            content[: place - 20]
            + bytes(byte ^ 0x55 for byte in content[place - 20 : place])
            + content[place:]
        )
        (folder / f"{FILE_NAME}-flipped{suffix}").write_bytes(flipped)


def found_in(content: bytes, *values: str) -> list[str]:
    """Which values stand there, whole or a part of a name, in any usual encoding, in capitals or not."""
    parts = {part for value in values for part in (value, *value.split("^")) if len(part) > 4}
    lower = content.lower()
    return [
        part
        for part in sorted(parts)
        for encoding in ("utf-8", "latin-1", "utf-16-le", "unicode_escape")
        if part.lower().encode(encoding) in lower
    ]


IN_NO_REPORT = (*HIDDEN.values(), "1911-03-17", PRIVATE, NESTED, PREAMBLE, ACCENTED)
ANYTHING = (*IN_NO_REPORT, *SHOWN.values(), FILE_NAME)


def ran(result: "subprocess.CompletedProcess[bytes]", *codes: int) -> None:
    assert result.returncode in codes, result.stderr


def test_the_search_finds_what_it_looks_for(export: Path) -> None:
    everything = b"".join(path.read_bytes() for path in export.iterdir())
    names = {value for value in (*IN_NO_REPORT, *SHOWN.values()) if not found_in(everything, value)}
    assert names == {"1911-03-17"}
    assert len(list(export.iterdir())) > 130


@pytest.mark.parametrize("form", ["text", "json"])
def test_screening(form: str, export: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """Also with readers that are killed, abort, or raise an error with a name in it; and pseudonymised (json)."""
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    pseudonyms = ("--pseudonymise", tmp_path / "key") if form == "json" else ()
    out, state = tmp_path / "report.csv", tmp_path / "s.sqlite"
    result = cxrbatch(
        *("screen", export, "--out", out, "--bundle", tiny_bundle, "--state", state, "--log-format", form),
        *pseudonyms,
        env=LOUD | hooked(tmp_path / "watch"),
    )
    ran(result, 3)
    assert not found_in(result.stdout + result.stderr, *ANYTHING)
    assert len(result.stderr.splitlines()) == (4 if form == "text" else 1)
    tables = out.read_bytes() + out.with_suffix(".files.csv").read_bytes()
    report = tables + out.with_suffix(".html").read_bytes()
    assert not found_in(report, *(ANYTHING if pseudonyms else IN_NO_REPORT))
    assert bool(found_in(report, SHOWN["PatientID"], SHOWN["AccessionNumber"])) != bool(pseudonyms)
    assert b"-killed.dcm" in tables or pseudonyms
    check_state(state)


def check_state(state: Path) -> None:
    """It holds who it is about, and neither their names nor their birth dates."""
    with closing(sqlite3.connect(state)) as connection:
        content = "\n".join(connection.iterdump()).encode()
    assert found_in(content, SHOWN["PatientID"])
    assert not found_in(content, *IN_NO_REPORT)


def test_an_internal_error(export: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """While the report is written, with a name in its message."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{FILE_NAME}.dcm").write_bytes((export / f"{FILE_NAME}.dcm").read_bytes())
    result = cxrbatch(
        *("screen", tmp_path / "in", "--out", tmp_path / "report.csv", "--bundle", tiny_bundle),
        env=LOUD | hooked(tmp_path / "watch") | {"WATCH_FAIL_AT_REPORT": "1"},
    )
    ran(result, 1)
    assert b"internal error (ValueError)" in result.stderr
    assert not found_in(result.stdout + result.stderr, *ANYTHING)
    assert not list(tmp_path.glob("report*"))


def test_single_images(export: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """Their names are those that the command line gives; nothing else of them is said."""
    result = cxrbatch(
        "predict",
        *sorted(export.iterdir()),
        *("--out", tmp_path / "out", "--bundle", tiny_bundle),
        env=LOUD,
    )
    ran(result, 3)
    assert not found_in(result.stdout + result.stderr, *IN_NO_REPORT, *SHOWN.values())
    assert result.stderr == b""
    for picture in (tmp_path / "out").iterdir():
        assert not found_in(picture.read_bytes(), *IN_NO_REPORT, *SHOWN.values())


def test_doctor(export: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ("--out", tmp_path / "report.csv", "--state", tmp_path / "s.sqlite", "--bundle", tiny_bundle)
    result = cxrbatch("doctor", export, *options, "--format", "json", env=LOUD)
    ran(result, 0, 1)
    assert not found_in(result.stdout + result.stderr, *ANYTHING)


LAB_FILES = {
    "other-columns.csv": f"{NAME},19110317,{SHOWN['PatientID']},2026-03-01,positive\n",
    "quotes.csv": f'patient_id,date,result\n"{SHOWN["PatientID"]} {NAME},2026-03-01,positive\n',
    "bad-rows.csv": "patient_id,name,born,date,result\n"
    f"{SHOWN['PatientID']},{NAME},19110317,{NAME},positive\n"
    f"{SHOWN['PatientID']},{NAME},19110317,2026-03-01,{NAME},surplus\n",
    "nul.csv": f"patient_id,date,result\n{SHOWN['PatientID']}\0{NAME},2026-03-01,positive\n",
    "latin1.csv": f"patient_id,date,result\n{ACCENTED},2026-03-01,positive\n",
    "no-text.csv": "patient_id,date,result\n" + NAME.encode("utf-16-le").decode("latin-1"),
}


@pytest.mark.parametrize("name", LAB_FILES)
def test_results_and_audit(name: str, tmp_path: Path, screened: Path) -> None:
    """On stderr no cell of the laboratory's file; its rows are on stdout, where they were asked for."""
    file = tmp_path / name
    file.write_bytes(LAB_FILES[name].encode("latin-1"))
    result = cxrbatch("results", "import", file, "--state", screened, env=LOUD)
    ran(result, 1, 2, 3)
    assert not found_in(result.stderr, *ANYTHING)
    assert "born" not in result.stdout.decode()
    assert not found_in(result.stdout, "19110317")


def test_audit(tmp_path: Path, screened: Path, tiny_bundle: Path) -> None:
    options = ("--state", screened, "--out", tmp_path / "audit.csv", "--bundle", tiny_bundle)
    result = cxrbatch("audit", *options, env=LOUD)
    ran(result, 0)
    written = b"".join(path.read_bytes() for path in tmp_path.glob("audit.*"))
    assert not found_in(result.stdout + result.stderr + written, *ANYTHING)


@pytest.fixture(scope="module")
def screened(export: Path, tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A state that knows the patient."""
    from cxrbatch.screening import ScreenOptions, screen

    folder = tmp_path_factory.mktemp("screened")
    (folder / "in").mkdir()
    (folder / "in" / f"{FILE_NAME}.dcm").write_bytes((export / f"{FILE_NAME}.dcm").read_bytes())
    screen(folder / "in", folder / "r.csv", ScreenOptions(bundle=tiny_bundle, state=folder / "s.sqlite"))
    return folder / "s.sqlite"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--out", "/proc/report.csv"),
        ("--out", "{tmp}/none/report.csv"),
        ("--out", "{tmp}/report.csv", "--state", "/proc/s.sqlite"),
        ("--out", "{tmp}/report.csv", "--bundle", "{tmp}"),
    ],
)
def test_places_that_are_broken(arguments: tuple[str, ...], export: Path, tmp_path: Path) -> None:
    named = [text.format(tmp=tmp_path) for text in arguments]
    result = cxrbatch("screen", export, *named, env=LOUD)
    ran(result, 1, 2)
    assert not found_in(result.stdout + result.stderr, *ANYTHING)
