"""Terms, the tables of codes: which code means which body part or view. Input: scheme and value. Output: a word.

A code says the same in every language, and its meaning is what somebody typed. Rows are (SNOMED CT, SNOMED RT as
DICOM used it before, word of `cxrbatch.terms.words`). Sources: PS3.16 CID 4, CID 4009, CID 4010 and annex L.
"""

from types import MappingProxyType

_SNOMED = frozenset(("SCT", "SRT", "SNM3", "99SDM"))

Rows = tuple[tuple[str, str, str], ...]

PARTS: Rows = (
    ("51185008", "T-D3000", "CHEST"),
    ("816094009", "", "CHEST"),
    ("302551006", "", "CHEST"),
    ("43799004", "T-D3200", "CHEST"),
    ("39607008", "T-28000", "CHEST"),
    ("3341006", "T-28100", "CHEST"),
    ("44029006", "T-28500", "CHEST"),
    ("54735007", "T-11AD0", "SACRUM"),
    ("74670003", "T-15460", "WRIST JOINT"),
    ("706342009", "R-FE0C7", "PHANTOM"),
    ("85050009", "T-12410", "HUMERUS"),
    ("80144004", "T-12770", "CALCANEUS"),
    ("32849002", "T-56000", "ESOPHAGUS"),
    ("91609006", "T-11180", "MANDIBLE"),
    ("416319003", "R-FAB54", "NECK CHEST ABDOMEN AND PELVIS"),
    ("68367000", "T-D9100", "THIGH"),
    ("816092008", "", "PELVIS"),
    ("416550000", "R-FAB55", "CHEST AND ABDOMEN"),
    ("44567001", "T-25000", "TRACHEA"),
    ("53120007", "T-D8000", "UPPER LIMB"),
    ("70258002", "T-15750", "ANKLE JOINT"),
    ("1217254007", "", "SACROCOCCYGEAL SPINE"),
    ("85562004", "T-D8700", "HAND"),
    ("16953009", "T-15430", "ELBOW JOINT"),
    ("56873002", "T-11210", "STERNUM"),
    ("122495006", "T-11502", "THORACIC SPINE"),
    ("417437006", "R-FAB52", "NECK AND CHEST"),
    ("24136001", "T-15710", "HIP JOINT"),
    ("40983000", "T-D8200", "UPPER ARM"),
    ("66019005", "T-D0300", "EXTREMITY"),
    ("818982008", "", "ABDOMEN AND PELVIS"),
    ("4596009", "T-24100", "LARYNX"),
    ("1217257000", "", "CERVICOTHORACIC SPINE"),
    ("89546000", "T-11100", "SKULL"),
    ("29836001", "T-D2500", "HIP"),
    ("113197003", "T-11300", "RIB"),
    ("69536005", "T-D1100", "HEAD"),
    ("85856004", "T-15420", "ACROMIOCLAVICULAR JOINT"),
    ("51299004", "T-12310", "CLAVICLE"),
    ("7844006", "T-15610", "STERNOCLAVICULAR JOINT"),
    ("1217256009", "", "THORACOLUMBAR SPINE"),
    ("76752008", "T-04000", "BREAST"),
    ("45048000", "T-D1600", "NECK"),
    ("7569003", "T-D8800", "FINGER"),
    ("69695003", "T-57000", "STOMACH"),
    ("64688005", "T-11BF0", "COCCYX"),
    ("774007", "T-D1000", "HEAD AND NECK"),
    ("72696002", "T-D9200", "KNEE"),
    ("14975008", "T-D8500", "FOREARM"),
    ("421060004", "T-D04FF", "SPINE"),
    ("56459004", "T-D9700", "FOOT"),
    ("416152001", "R-FAB53", "NECK CHEST AND ABDOMEN"),
    ("38266002", "T-D0010", "ENTIRE BODY"),
    ("76505004", "T-D8810", "THUMB"),
    ("122496007", "T-11503", "LUMBAR SPINE"),
    ("818981001", "", "ABDOMEN"),
    ("61685007", "T-D9000", "LOWER LIMB"),
    ("30021000", "T-D9400", "LOWER LEG"),
    ("416775004", "R-FAB56", "CHEST ABDOMEN AND PELVIS"),
    ("29707007", "T-D9800", "TOE"),
    ("16982005", "T-D2220", "SHOULDER"),
    ("71341001", "T-12710", "FEMUR"),
    ("79601000", "T-12280", "SCAPULA"),
    ("64234005", "T-12730", "PATELLA"),
    ("1217253001", "", "LUMBOSACRAL SPINE"),
    ("122494005", "T-11501", "CERVICAL SPINE"),
    ("89545001", "T-D1200", "FACE"),
    ("53505006", "T-59900", "ANUS"),
    ("28273000", "T-60610", "BILE DUCT"),
    ("34707002", "T-60600", "BILIARY TRACT"),
    ("89837001", "T-74000", "BLADDER"),
    ("72001000", "T-12700", "BONE OF LOWER LIMB"),
    ("371195002", "T-D0821", "BONE OF UPPER LIMB"),
    ("955009", "T-26000", "BRONCHUS"),
    ("86598002", "T-280A0", "CHEST"),
    ("71854001", "T-59300", "COLON"),
    ("79741001", "T-64500", "COMMON BILE DUCT"),
    ("38848004", "T-58200", "DUODENUM"),
    ("110861005", "T-DD163", "ESOPHAGUS STOMACH AND DUODENUM"),
    ("81745001", "T-AA000", "EYE"),
    ("371398005", "T-D0801", "EYE REGION"),
    ("91397008", "T-11196", "FACIAL BONES"),
    ("87342007", "T-12750", "FIBULA"),
    ("28231008", "T-63000", "GALLBLADDER"),
    ("80891009", "T-32000", "HEART"),
    ("34516001", "T-58600", "ILEUM"),
    ("22356005", "T-12340", "ILIUM"),
    ("361078006", "T-AB959", "INTERNAL AUDITORY CANAL"),
    ("661005", "T-D1213", "JAW REGION"),
    ("21306003", "T-58400", "JEJUNUM"),
    ("14742008", "T-59000", "LARGE INTESTINE"),
    ("303270005", "T-50007", "LIVER AND BILIARY STRUCTURE"),
    ("59066005", "T-11133", "MASTOID BONE"),
    ("70925003", "T-11170", "MAXILLA"),
    ("72410000", "T-D3300", "MEDIASTINUM"),
    ("102292000", "T-14668", "MUSCLE OF LOWER LIMB"),
    ("30608006", "T-13600", "MUSCLE OF UPPER LIMB"),
    ("74386004", "T-11149", "NASAL BONE"),
    ("55024004", "T-11102", "OPTIC CANAL"),
    ("363654007", "T-D14AE", "ORBITAL STRUCTURE"),
    ("15776009", "T-65000", "PANCREAS"),
    ("69930009", "T-65010", "PANCREATIC DUCT"),
    ("110621006", "T-65600", "PANCREATIC DUCT AND BILE DUCT SYSTEMS"),
    ("2095001", "T-22000", "PARANASAL SINUS"),
    ("45289007", "T-61100", "PAROTID GLAND"),
    ("1231522001", "", "PELVIS AND LOWER EXTREMITIES"),
    ("41216001", "T-92000", "PROSTATE"),
    ("34402009", "T-59600", "RECTUM"),
    ("39723000", "T-15680", "SACROILIAC JOINT"),
    ("42575006", "T-D1460", "SELLA TURCICA"),
    ("58742003", "T-12980", "SESAMOID BONES OF FOOT"),
    ("30315005", "T-58000", "SMALL INTESTINE"),
    ("54019009", "T-61300", "SUBMANDIBULAR GLAND"),
    ("27949001", "T-15770", "TARSAL JOINT"),
    ("53620006", "T-15290", "TEMPOROMANDIBULAR JOINT"),
    ("431491007", "T-7000B", "UPPER URINARY TRACT"),
    ("87953007", "T-73000", "URETER"),
    ("13648007", "T-75000", "URETHRA"),
    ("110639002", "T-88920", "UTERUS AND FALLOPIAN TUBES"),
    ("110517009", "T-11011", "VERTEBRAL COLUMN AND CRANIUM"),
    ("13881006", "T-11166", "ZYGOMA"),
)
VIEWS: Rows = (
    ("", "R-10214", "PA"),
    ("", "R-10218", "OBLIQUE"),
    ("399038007", "R-10210", "OBLIQUE"),
    ("399225005", "R-10250", "OBLIQUE"),
    ("399059000", "R-10216", "OBLIQUE"),
    ("399061009", "R-10241", "AXIAL"),
    ("30730003", "G-A145", "TANGENTIAL"),
    ("399110001", "R-102C2", "TANGENTIAL"),
    ("399162004", "R-10242", "TANGENTIAL"),
    ("399099002", "R-10230", "OBLIQUE"),
    ("399242004", "R-102C6", "TANGENTIAL"),
    ("399351005", "R-102C7", "TANGENTIAL"),
    ("260499007", "R-40810", "TANGENTIAL"),
    ("399288005", "R-10248", "OBLIQUE"),
    ("399071006", "R-102C3", "TANGENTIAL"),
    ("399135007", "R-10220", "OBLIQUE"),
    ("260427002", "R-40783", "OBLIQUE"),
    ("399236003", "R-10234", "OBLIQUE"),
    ("399368009", "R-10226", "OBLIQUE"),
    ("399198007", "R-10232", "LATERAL"),
    ("399196006", "R-10244", "TANGENTIAL"),
    ("399360002", "R-10257", "TANGENTIAL"),
    ("399033003", "R-10202", "FRONTAL"),
    ("399173006", "R-10236", "LATERAL"),
    ("399272005", "R-102C5", "TANGENTIAL"),
    ("272479007", "R-40888", "PA"),
    ("399356000", "R-40985", "OBLIQUE"),
    ("399255003", "R-10256", "TANGENTIAL"),
    ("399312000", "R-10208", "OBLIQUE"),
    ("399352003", "R-10228", "LATERAL"),
    ("399184004", "R-10238", "OBLIQUE"),
    ("399335002", "R-102C4", "TANGENTIAL"),
    ("399316002", "R-102C8", "TANGENTIAL"),
    ("399182000", "R-102C1", "OBLIQUE"),
    ("260426006", "R-40782", "OBLIQUE"),
    ("399132005", "R-10252", "OBLIQUE"),
    ("399325008", "R-10254", "OBLIQUE"),
    ("399348003", "R-10206", "AP"),
    ("399260004", "R-10224", "LATERAL"),
    ("399160007", "R-10204", "OBLIQUE"),
    ("399004004", "R-10246", "OBLIQUE"),
    ("399067008", "R-102CD", "LATERAL"),
    ("399006002", "R-10212", "OBLIQUE"),
)
OTHER_SCHEMES = MappingProxyType(
    {
        ("RADLEX", "RID1243"): "CHEST",
        ("RADLEX", "RID1301"): "CHEST",
        ("FMA", "9576"): "CHEST",
        ("FMA", "7195"): "CHEST",
    }
)
"""Thorax and lung of RadLex and of the Foundational Model of Anatomy."""


def part_of_code(scheme: str, value: str) -> str:
    """Return the word for a coded body part; empty for a code that is not in the table."""
    key = (scheme.upper(), value.upper())
    return OTHER_SCHEMES.get(key, "") or _word(_PARTS, *key)


def view_of_code(scheme: str, value: str) -> str:
    """Return the word for a coded view; empty for a code that is not in the table."""
    return _word(_VIEWS, scheme.upper(), value.upper())


def _word(table: dict[str, str], scheme: str, value: str) -> str:
    return table.get(value, "") if scheme in _SNOMED else ""


def _by_value(rows: Rows) -> dict[str, str]:
    return {value: word for *values, word in rows for value in values if value}


_PARTS = _by_value(PARTS)
_VIEWS = _by_value(VIEWS)
