"""Lists that others publish: context groups of DICOM as pydicom has them, code strings, views of data sets."""

from collections.abc import Iterator

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from cxrbatch.terms import Part, View, part_of, part_of_code, view_of, view_of_code, views_in

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


ONE_FRONTAL = (
    *("AP", "AP single view", "Views AP", "PA", "PA upright", "AP and PA upright", "AP upright and supine"),
    *(
        "PA upright Views W inspiration and expiration",
        "1 View AP",
        "1 View Anteroposterior",
        "Posteroanterior",
    ),
)
ONE_OTHER = (
    *("Lateral", "Left lateral", "Right lateral", "Lateral upright", "Left lateral upright", "Oblique"),
    *("Oblique Views", "Left oblique", "Right oblique", "Left anterior oblique", "Right anterior oblique"),
    *("Right oblique and Left oblique upright", "Lateral and Oblique", "Apical lordotic", "Lordotic"),
    *("AP left lateral-decubitus", "AP right lateral-decubitus", "PA L decub", "AP RT LAT DECUBITUS"),
    *("Left lateral-decubitus", "Right lateral-decubitus and Left lateral-decubitus", "Views decubitus"),
    *("AP (right lateral-decubitus and left lateral-decubitus)", "Lateral and Apical lordotic"),
)
SEVERAL = (
    *("AP and Lateral", "PA and Lateral", "PA and Lateral upright", "2 Views PA and Lateral", "PA + LAT"),
    *("PA and Lateral and Oblique", "PA and Lateral and Oblique upright", "PA and Apical lordotic"),
    *("PA and Lateral and Oblique and Apical lordotic", "PA and AP lateral-decubitus", "Lateral and AP"),
    *("AP and AP right lateral-decubitus", "PA and AP left lateral-decubitus", "PA Lat W Apical lordotic"),
    "PA and Right lateral and Right oblique and Left oblique upright",
)
UNSAID = (
    *("Single view", "1 View", "2 Views", "3 Views", "4+ Views", "1V", "2V", "Views", "Limited Views"),
    *("Views W inspiration and expiration", "Single view during surgery", "Views for foreign body"),
)
SPELLINGS = ("XR Chest {}", "Portable XR Chest {}", "XR CHEST {} portable", "Chest X-ray {}")
"""Views of the chest as the LOINC/RSNA Radiology Playbook and RadLex Playbook name them, and ways to put a name."""
NAMED: dict[frozenset[View], tuple[str, ...]] = {
    frozenset((View.FRONTAL,)): ONE_FRONTAL,
    frozenset((View.OTHER,)): ONE_OTHER,
    frozenset((View.FRONTAL, View.OTHER)): SEVERAL,
    frozenset(): UNSAID,
}
REGIONS = (
    *(
        "Abdomen",
        "Ankle",
        "Calcaneus",
        "Cervical spine",
        "Thoracic spine",
        "Lumbar spine",
        "T-Spine",
        "TL-Spine",
    ),
    *("Thoracic and lumbar spine", "Spine Lumbar and Sacrum", "Entire Spine", "Clavicle", "Coccyx", "Elbow"),
    *("Facial bones", "Femur", "Finger fifth", "Foot", "Radius and Ulna", "Hand", "Hip", "Humerus", "Knee"),
    *("Lower extremity", "Upper extremity", "Mandible", "Mastoid", "Maxilla", "Nasal bones", "Neck", "Orbit"),
    *(
        "Optic foramen",
        "Internal auditory canal",
        "Patella",
        "Pelvis",
        "Pelvis and Hip",
        "Petrous bone",
        "Ribs",
    ),
    *("Ribs - bilateral", "Ribs - left", "Ribs anterior", "Ribs lower posterior", "Ribs 2V Unilat+Chest"),
    *("Ribs - right and Chest PA", "Ribs - bilateral and Chest", "Chest and Abdomen", "Neck and Chest"),
    *(
        "Abdomen supine and upright and Chest PA",
        "Sacroiliac joint",
        "Sacrum",
        "Sacrum and Coccyx",
        "Scapula",
    ),
    *(
        "Sella turcica",
        "Shoulder",
        "Sinuses",
        "Skull",
        "Spine",
        "Sternoclavicular joint",
        "Sternum",
        "AC Joints",
    ),
    *(
        "Acromioclavicular joint",
        "Temporomandibular joint",
        "TMJ Open+Closed",
        "Teeth",
        "Thumb",
        "Toes",
        "Wrist",
    ),
    *(
        "Tibia and Fibula",
        "Upper arm",
        "Lower leg",
        "Thigh",
        "Zygomatic arch",
        "Subtalar joint",
        "Whole Body Infant",
    ),
    *(
        "Bone Age Hand",
        "Bones",
        "Larynx",
        "Trachea",
        "Bronchi",
        "Kidney - bilateral",
        "Gallbladder",
        "Esophagus",
    ),
    *("Stomach", "Colon", "Breast", "Breast specimen", "Salivary gland", "Adenoids", "Nasopharynx", "Eye"),
    *(
        "Urinary bladder",
        "Ureter",
        "Pelvimetry",
        "Scaphoid",
        "Thoracic outlet",
        "Soft tissue",
        "Surgical specimen",
    ),
)
"""Body regions of radiographs by the same two lists; those of the chest alone are Chest, Lung and Thorax."""


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("views", NAMED, ids=lambda views: "+".join(sorted(views)) or "none")
def test_names_of_chest_radiographs(spelling: str, views: frozenset[View]) -> None:
    names = [spelling.format(name) for name in NAMED[views]]
    assert {name for name in names if views_in(name) != views} == set()
    assert {name for name in names if part_of(name) is not Part.CHEST} == set()


@pytest.mark.parametrize("spelling", ["XR {}", "Portable XR {}", "XR {} 2 Views", "{} X-ray AP and lateral"])
def test_names_of_other_radiographs(spelling: str) -> None:
    names = [spelling.format(region) for region in REGIONS]
    assert {name for name in names if part_of(name) is not Part.OTHER} == set()
    assert {part_of(spelling.format(region)) for region in ("Chest", "Lung", "Thorax")} == {Part.CHEST}
