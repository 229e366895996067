"""Lists that others publish: context groups of DICOM as pydicom has them, code strings, views of data sets."""

from collections.abc import Iterator

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from cxrbatch.terms import Part, View, part_of, part_of_code, view_of, view_of_code

CODE_STRINGS = (
    *(
        "ABDOMEN",
        "ABDOMENPELVIS",
        "ADRENAL",
        "ANKLE",
        "AORTA",
        "ARM",
        "AXILLA",
        "BACK",
        "BILEDUCT",
        "BLADDER",
    ),
    *(
        "BRAIN",
        "BREAST",
        "BRONCHUS",
        "BUTTOCK",
        "CALCANEUS",
        "CALF",
        "CAROTID",
        "CEREBELLUM",
        "CERVIX",
        "CHEEK",
    ),
    *("CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CIRCLEOFWILLIS", "CLAVICLE", "COCCYX", "COLON", "CORNEA"),
    *("CORONARYARTERY", "CSPINE", "CTSPINE", "DUODENUM", "EAR", "ELBOW", "ESOPHAGUS", "EXTREMITY", "EYE"),
    *(
        "EYELID",
        "FACE",
        "FEMUR",
        "FIBULA",
        "FINGER",
        "FOOT",
        "GALLBLADDER",
        "HAND",
        "HEAD",
        "HEADNECK",
        "HEART",
    ),
    *(
        "HIP",
        "HUMERUS",
        "ILEUM",
        "ILIUM",
        "JAW",
        "JEJUNUM",
        "KIDNEY",
        "KNEE",
        "LARYNX",
        "LEG",
        "LIVER",
        "LSPINE",
    ),
    *("LSSPINE", "LUNG", "MAXILLA", "MEDIASTINUM", "MOUTH", "NECK", "NECKCHEST", "NECKCHESTABDOMEN"),
    *("NECKCHESTABDPELV", "NOSE", "ORBIT", "OVARY", "PANCREAS", "PAROTID", "PATELLA", "PELVIS", "PENIS"),
    *("PHARYNX", "PROSTATE", "RADIUS", "RADIUSULNA", "RECTUM", "RIB", "SACRUM", "SCALP", "SCAPULA", "SCLERA"),
    *("SCROTUM", "SHOULDER", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "SUBMANDIBULAR"),
    *("TESTIS", "THIGH", "THUMB", "THYMUS", "THYROID", "TIBIA", "TIBIAFIBULA", "TLSPINE", "TOE", "TONGUE"),
    *("TRACHEA", "TSPINE", "ULNA", "URETER", "URETHRA", "UTERUS", "VAGINA", "VULVA", "WHOLEBODY", "WRIST"),
    "ZYGOMA",
)
"""Of PS3.16 annex L, the common ones."""
VIEWS = {
    View.FRONTAL: ("PA", "AP", "antero-posterior", "postero-anterior"),
    View.OTHER: (
        *(
            "LATERAL",
            "LL",
            "RL",
            "AP AXIAL",
            "SWIMMERS",
            "PA LLD",
            "AP LLD",
            "AP RLD",
            "PA RLD",
            "XTABLE LATERAL",
        ),
        *(
            "LAO",
            "RAO",
            "LPO",
            "RPO",
            "RLD",
            "LLD",
            "RLO",
            "LLO",
            "lateral",
            "left lateral",
            "Lateral decubitus",
        ),
    ),
    View.UNKNOWN: ("", "Erect", "Recumbent"),
}
"""Values of ViewPosition by PS3.3 C.8.11.5 and of MIMIC-CXR, and meanings of its view codes."""
OF_THE_LUNG = (
    "Apex of Lung",
    "Intra-thoracic",
    "Lung",
    "Chest",
    "Thorax",
    "Thoracic aorta",
    "Systemic collateral",
)


def entries(group: int) -> Iterator[tuple[str, str, str]]:
    """Yield scheme, code and meaning of a context group."""
    for scheme, names in cid_concepts[group].items():
        for name in names:
            for code, (meaning, groups) in concepts[scheme][name].items():
                if group in groups:
                    yield scheme, code, meaning


@pytest.mark.parametrize("group", [4009, 4031])
def test_every_code_of_a_radiograph_is_known_and_means_what_its_meaning_says(group: int) -> None:
    listed = list(entries(group))
    assert len(listed) > 100
    assert [meaning for scheme, code, meaning in listed if not part_of_code(scheme, code)] == []
    by_code = {meaning: part_of(part_of_code(scheme, code)) for scheme, code, meaning in listed}
    assert by_code == {meaning: part_of(meaning) for _, _, meaning in listed}
    assert {meaning for meaning, part in by_code.items() if part is Part.CHEST} == {"Chest", "Apex of Lung"}


@pytest.mark.parametrize("group", [4009, 4031])
def test_the_code_of_snomed_rt_means_the_same(group: int) -> None:
    former = {
        mapping["SCT"][code]: part_of_code("SCT", code)
        for _, code, _ in entries(group)
        if code in mapping["SCT"]
    }
    assert len(former) > 100
    assert {code: part_of_code("SRT", code) for code in former} == former


def test_every_code_of_a_view_is_known() -> None:
    listed = [
        entry for entry in entries(4010) if entry[2] != "tissue specimen"
    ]  # is none: an error of the list
    assert len(listed) == 41
    assert [meaning for scheme, code, meaning in listed if not view_of_code(scheme, code)] == []
    for scheme, code, meaning in listed:
        assert view_of(view_of_code(scheme, code)) is view_of(meaning)


def test_of_all_anatomic_regions_only_those_of_the_chest_are_the_chest() -> None:
    """By meaning, where the code is not in the table: vessels, chambers and organs."""
    chest = {meaning for _, _, meaning in entries(4) if part_of(meaning) is Part.CHEST}
    assert {name for name in chest if not name.startswith(OF_THE_LUNG) and "ulmonary" not in name} == set()


def test_code_strings() -> None:
    assert [name for name in CODE_STRINGS if part_of(name) is not Part.OTHER] == ["CHEST", "LUNG"]


@pytest.mark.parametrize(("text", "view"), [(text, view) for view in VIEWS for text in VIEWS[view]])
def test_views_of_data_sets(text: str, view: View) -> None:
    assert view_of(text) is view
