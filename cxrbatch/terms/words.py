"""Terms, the table of words: how header texts name the chest, other parts, frontal and other views.

Rows are (language, terms). A term is a ``WORD``, a ``STEM*`` at the start of a word or a ``*STEM*`` anywhere in one;
accents and case do not matter. Sources: PS3.16 CID 4 and 4009 (body parts), CID 4010 (views), PS3.3 C.7.3.1.1.1 and
C.8.11.5 (defined terms), the vocabulary of radiology in each language, and what devices and people enter by hand.
Words that mean the female breast before they mean the chest (Dutch *borst*, Danish *bryst*) are left out.
Words of languages other than English were not checked by native speakers.
"""

# ruff: noqa: RUF001 - letters of other alphabets are the point

from collections.abc import Iterator

Rows = tuple[tuple[str, tuple[str, ...]], ...]

CHEST: Rows = (
    ("international", ("*CHEST*", "*THORA*", "*TORAX*", "*LUNG*", "*PULMO*", "CXR", "THX")),
    ("German", ("*BRUST*", "*LUNGE*")),
    ("French", ("POITRINE", "POUMON*")),
    ("Italian, Romanian", ("TORAC*", "POLMON*", "PLAMAN*")),
    ("Spanish", ("PECHO", "TORACIC*")),
    ("Portuguese", ("PEITO", "PULMAO", "PULMOES")),
    ("Dutch", ("BORSTKAS", "LONGEN", "LONG")),
    ("Swedish", ("BRÖSTKORG*", "LUNGOR")),
    ("Norwegian, Danish", ("BRYSTKASSE*", "BRYSTKORG*")),
    ("Icelandic", ("BRJÓSTKASS*",)),
    ("Finnish", ("RINTAKEHÄ*", "KEUHKO*")),
    ("Estonian", ("RINDKERE", "KOPS*")),
    ("Latvian", ("KRŪŠKURV*", "KRŪŠU KURV*", "PLAUŠ*")),
    ("Lithuanian", ("KRŪTIN*", "PLAUČIAI", "PLAUČIŲ")),
    ("Polish", ("KLATKA PIERS*", "KLATKI PIERS*", "KLP", "PŁUC*")),
    ("Czech, Slovak", ("HRUDNÍK*", "HRUĎ", "HRUDI", "HRUDNÁ", "HRUDNÍ KOŠ", "PLÍCE", "PLIC", "PĽÚCA")),
    ("Hungarian", ("MELLKAS*", "TÜDŐ*")),
    ("Croatian, Serbian, Bosnian", ("GRUDNI KOŠ", "GRUDNOG KOŠA", "GRUDI", "PRSNI KOŠ", "PLUĆA", "TORAKS*")),
    ("Slovenian", ("PRSNI KOŠ", "PRSNEGA KOŠA", "PRSA", "PLJUČ*")),
    ("Serbian, Macedonian (Cyrillic)", ("ГРУДНИ КОШ", "ПЛУЋА", "ГРАДЕН КОШ")),
    ("Albanian", ("KRAHAROR*", "MUSHKËRI*")),
    ("Turkish", ("GÖĞÜS", "GÖĞSÜ", "AKCİĞER*", "TORAKS")),
    ("Greek", ("ΘΩΡΑΚ*", "ΘΏΡΑΞ", "ΣΤΉΘΟΣ", "ΠΝΕΎΜΟΝ*")),
    ("Russian", ("ГРУДЬ", "ГРУДИ", "ГРУДНАЯ", "ГРУДНОЙ КЛЕТК*", "ЛЁГКИ*", "ТОРАКС", "ОГК")),
    ("Ukrainian", ("ГРУДНА КЛІТКА", "ГРУДНОЇ КЛІТКИ", "ЛЕГЕН*", "ОГП")),
    ("Bulgarian", ("ГРЪДЕН КОШ", "ГРЪДНИЯ КОШ", "ГРЪДЕН", "БЕЛИ ДРОБОВЕ", "БЯЛ ДРОБ")),
    ("Indonesian, Malay", ("DADA", "TORAKS", "PARU*")),
    ("Filipino", ("DIBDIB", "BAGA")),
    ("Vietnamese", ("NGỰC", "PHỔI")),
    ("Chinese, Japanese", ("*胸*", "*肺*")),
    ("Korean", ("*흉부*", "가슴", "*흉곽*", "폐")),
    ("Thai", ("*ทรวงอก*", "*หน้าอก*", "*ปอด*")),
    ("Arabic", ("*صدر*", "*رئة*", "*رئتين*")),
    ("Persian, Urdu", ("سینه", "سينه", "سینہ", "ریه", "چھاتی")),
    ("Hebrew", ("חזה", "החזה", "ריאות", "ריאה")),
    ("Hindi, Nepali", ("छाती", "वक्ष", "फेफड़े")),
    ("Bengali", ("বুক",)),
)
OTHER_PART: Rows = (
    (
        "English, Latin",
        (
            *("*SPINE*", "SPINAL", "CSPINE", "TSPINE", "LSPINE", "LUMB*", "THORACOL*", "CERVIC*", "VERTEBR*"),
            *(
                "DORSOL*",
                "SACR*",
                "COCCY*",
                "SCOLI*",
                "RIB",
                "RIBS",
                "*COSTAL*",
                "RIBCAGE",
                "STERN*",
                "CLAVIC*",
            ),
            *("SHOULDER*", "SCAPULA*", "HUMER*", "ELBOW*", "FOREARM", "WRIST*", "HAND", "HANDS", "FINGER*"),
            *(
                "ABDO*",
                "PELVI*",
                "HIP",
                "HIPS",
                "FEMUR*",
                "KNEE*",
                "ANKLE*",
                "SKULL",
                "NECK",
                "KUB",
                "BREAST*",
            ),
        ),
    ),
    ("German", ("*WIRBEL*", "BWS", "HWS", "LWS", "*RIPPE*", "BRUSTBEIN*", "*SCHLÜSSELBEIN*", "*SCHULTER*")),
    ("German", ("BAUCH*", "BECKEN*", "*SCHÄDEL*", "MAMMA*", "WEIBLICH*", "HALS", "HÜFT*", "KNIE*")),
    ("French", ("RACHIS", "COLONNE", "CÔTE", "CÔTES", "CÔTÉ COSTAL", "GRIL", "ÉPAULE*", "VENTRE", "BASSIN")),
    ("Italian", ("RACHIDE", "COLONNA", "COSTE", "COSTOLA", "COSTOLE", "SPALLA*", "ADDOM*", "BACINO")),
    ("Spanish", ("COLUMNA", "COSTILLA*", "PARRILLA", "ESTERN*", "HOMBRO*", "CLAVÍCULA*", "VIENTRE")),
    ("Portuguese", ("COLUNA", "COSTELA*", "ARCOS", "ESTERN*", "OMBRO*", "BACIA")),
    ("Romanian", ("COLOANA", "COLOANĂ", "COASTE", "UMĂR*", "BAZIN")),
    (
        "Dutch",
        ("WERVEL*", "*WERVELKOLOM*", "RIBBEN", "BORSTBEEN", "SLEUTELBEEN", "SCHOUDER*", "BUIK*", "BEKKEN"),
    ),
    ("Swedish", ("*RYGGRAD*", "BRÖSTRYGG*", "REVBEN*", "BRÖSTBEN*", "NYCKELBEN*", "AXEL", "AXLAR", "BUK*")),
    ("Norwegian, Danish", ("*RYGGSØYLE*", "*RYGSØJLE*", "RIBBEIN*", "RIBBEN*", "BRYSTBEN*", "BRYSTBEIN*")),
    ("Norwegian, Danish", ("KRAGEBEIN*", "NØGLEBEN*", "KRAVEBEN*", "SKULDER*", "BRYSTHVIRVEL*")),
    ("Finnish", ("*RANKA*", "SELKÄ*", "KYLKILU*", "RINTALASTA*", "SOLISLU*", "OLKAPÄ*", "VATSA*")),
    ("Polish", ("KRĘGOSŁUP*", "ŻEBR*", "MOSTEK", "MOSTKA", "OBOJCZYK*", "BARK", "BARKU", "BRZUCH*")),
    (
        "Czech, Slovak",
        ("PÁTEŘ*", "CHRBTIC*", "ŽEBR*", "REBR*", "HRUDNÍ KOST", "KLÍČ*", "KĽÚČ*", "RAMEN*", "BŘICH*"),
    ),
    ("Hungarian", ("*GERINC*", "CSIGOLYA*", "BORDA", "BORDÁK", "SZEGYCSONT*", "KULCSCSONT*", "VÁLL*", "HAS")),
    ("Croatian, Serbian", ("KRALJEŽ*", "KIČM*", "KIČEM*", "REBRA", "PRSNA KOST", "KLJUČN*", "RAME", "TRBUH")),
    ("Slovenian", ("HRBTEN*", "PRSNIC*", "TREBUH")),
    ("Turkish", ("*OMURGA*", "VERTEBRA*", "KABURGA*", "KOSTA*", "OMUZ*", "KARIN", "KLAVİKULA")),
    ("Greek", ("ΣΠΟΝΔΥΛ*", "*ΜΟΊΡΑ*", "ΠΛΕΥΡ*", "ΣΤΈΡΝΟ*", "ΚΛΕΊΔΑ*", "ΏΜΟΣ", "ΏΜΟΥ", "ΚΟΙΛΙ*")),
    ("Russian", ("ПОЗВОН*", "РЕБР*", "РЁБЕР", "ГРУДИН*", "КЛЮЧИЦ*", "ПЛЕЧ*", "ЖИВОТ*", "БРЮШ*", "ШЕЙН*")),
    ("Ukrainian", ("ХРЕБ*", "ХРЕБЕТ", "КЛЮЧИЦ*", "ЧЕРЕВ*", "ПОПЕРЕК*")),
    ("Bulgarian, Serbian", ("ГРЪБНАЧ*", "ГРЪДНА КОСТ", "ПРЕШЛЕН*", "КИЧМ*", "КОРЕМ*")),
    ("Indonesian, Malay", ("TULANG", "IGA", "BAHU", "PERUT", "RUSUK")),
    ("Vietnamese", ("CỘT SỐNG", "XƯƠNG", "VAI", "BỤNG")),
    ("Chinese, Japanese", ("*椎*", "*脊柱*", "*胸骨*", "*肋*", "*锁骨*", "*鎖骨*", "*肩*", "*腹*", "*胸锁*")),
    ("Korean", ("*흉추*", "*척추*", "*흉골*", "*늑골*", "*쇄골*", "*어깨*", "*복부*")),
    ("Thai", ("*สันหลัง*", "*ซี่โครง*", "*ไหล่*", "*ท้อง*")),
    (
        "Arabic, Persian",
        ("*فقر*", "*عمود*", "*ضلع*", "*اضلاع*", "*بطن*", "*كتف*", "*شکم*", "*دنده*", "*ستون*"),
    ),
    ("Hebrew", ("*שדרה*", "*צלעות*", "*בטן*", "*כתף*")),
    ("Hindi", ("रीढ़", "पसली", "पेट", "कंधा")),
)
FRONTAL: Rows = (
    ("international", ("PA", "AP", "FRONTAL*", "FRONT", "DORSOVENTRAL*", "VENTRODORSAL*")),
    ("Latin", ("POSTEROANT*", "POSTERO ANT*", "POSTERIOR ANT*", "POSTERIORANT*", "POSTEROANTERIEUR*")),
    (
        "Latin",
        ("ANTEROPOST*", "ANTERO POST*", "ANTERIOR POST*", "ANTERIORPOST*", "POSTER ANT*", "ANTER POST*"),
    ),
    ("French", ("FACE",)),
    ("Spanish, Portuguese", ("FRENTE",)),
    ("Dutch", ("FRONTAAL*", "VOORACHTERWAARTS*", "ACHTERVOORWAARTS*")),
    ("Finnish", ("ETUKUVA", "ETUSUUNTA")),
    ("Polish", ("TYLNO PRZED*", "PRZEDNIO TYLN*", "TYLNOPRZED*", "PRZEDNIOTYLN*", "CZOŁOW*")),
    ("Czech, Slovak, Croatian", ("PŘEDOZAD*", "ZADOPŘED*", "PREDNOZAD*")),
    ("Hungarian", ("SZEMBŐL", "ELÖLRŐL", "SZEMBEN*")),
    ("Turkish", ("ÖN ARKA", "ARKA ÖN", "ÖNDEN")),
    ("Greek", ("ΜΕΤΩΠ*", "ΟΠΙΣΘΟΠΡΌΣΘ*", "ΟΠΙΣΘΙΟΠΡΌΣΘ*", "ΠΡΟΣΘΟΠΊΣΘ*", "ΠΡΟΣΘΙΟΠΊΣΘ*")),
    ("Russian", ("ПРЯМАЯ", "ФРОНТАЛЬН*", "ЗАДНЕПЕРЕДН*", "ЗАДНЕ ПЕРЕДН*", "ПЕРЕДНЕЗАДН*", "ПЕРЕДНЕ ЗАДН*")),
    ("Ukrainian, Bulgarian", ("ПРЯМА", "ФАС", "ФАСОВ*", "ФРОНТАЛН*")),
    ("Indonesian", ("DEPAN",)),
    ("Vietnamese", ("THẲNG",)),
    ("Chinese, Japanese", ("*正位*", "*正面*", "*后前*", "*後前*", "*前后*", "*前後*")),
    ("Korean", ("*정면*", "*전후*", "*후전*")),
    ("Arabic, Persian", ("امامي", "أمامية", "روبرو")),
    ("Hebrew", ("קדמי", "פרונטלי", "חזיתי")),
)
LATERAL: Rows = (
    (
        "international",
        ("LAT", "LATS", "LATERAL*", "LATEROL*", "LL", "RL", "LLAT", "RLAT", "LATERO", "PROFILE VIEW"),
    ),
    ("international", ("SAGITTAL*", "TRANSTHORACIC*", "TRANSLATERAL*")),
    ("international", ("SWIMMER*", "CROSSTABLE", "CROSS TABLE", "XTABLE")),
    ("German", ("SEITL*",)),
    ("French, Romanian", ("PROFIL", "PROFILS")),
    ("Italian", ("PROFILO", "LATEROLATERALE")),
    ("Spanish, Portuguese", ("PERFIL", "LATERAIS")),
    ("Dutch", ("DWARS*", "ZIJDELINGS*", "LATERAAL*")),
    ("Swedish, Norwegian, Danish", ("SIDOBILD", "SIDEBILDE", "SIDEBILLEDE")),
    ("Finnish", ("SIVUKUVA*", "SIVUSUUNTA", "SIVU")),
    ("Polish", ("BOCZN*",)),
    ("Czech, Slovak, Croatian, Slovenian", ("BOČN*", "STRANSK*", "PROFILN*")),
    ("Hungarian", ("OLDAL*",)),
    ("Turkish", ("YAN", "YANDAN")),
    ("Greek", ("ΠΛΆΓΙ*", "ΠΛΑΓΊ*", "ΠΡΟΦΊΛ")),
    ("Russian", ("БОКОВ*", "ЛАТЕРАЛ*", "ПРОФИЛ*")),
    ("Ukrainian, Bulgarian, Serbian", ("БІЧН*", "БОКОВА", "СТРАНИЧН*", "БОЧН*")),
    ("Indonesian", ("SAMPING",)),
    ("Vietnamese", ("NGHIÊNG",)),
    ("Chinese, Japanese", ("*侧*", "*側*")),
    ("Korean", ("*측면*", "*측방*")),
    ("Arabic, Persian", ("*جانبي*", "نیمرخ")),
    ("Hebrew", ("צד", "צידי", "לטרלי")),
)
OBLIQUE: Rows = (
    (
        "international",
        ("LLD", "RLD", "LLO", "RLO", "RAO", "LAO", "RPO", "LPO", "OBL", "OBLS", "OBLI*", "OBLÍCU*"),
    ),
    ("international", ("LORDO*", "DECUB*", "AXIAL*", "TANGENT*")),
    ("German", ("SCHRÄG*", "SCHRAEG*")),
    ("French, Romanian", ("LORDOSE",)),
    ("Italian", ("OBLIQUA",)),
    ("Dutch", ("SCHUIN*",)),
    ("Swedish, Norwegian, Danish", ("SNED*", "SKRÅ*")),
    ("Finnish", ("VIISTO*",)),
    ("Polish", ("SKOŚN*",)),
    ("Czech, Slovak, Croatian, Slovenian", ("ŠIKM*", "POŠEVN*")),
    ("Hungarian", ("FERDE",)),
    ("Turkish", ("OBLİK",)),
    ("Greek", ("ΛΟΞ*",)),
    ("Russian", ("КОСАЯ", "КОСОЙ", "КОСОЕ")),
    ("Ukrainian, Bulgarian, Serbian", ("КОСА",)),
    ("Indonesian", ("MIRING",)),
    ("Vietnamese", ("CHẾCH",)),
    ("Chinese, Japanese", ("*斜*",)),
    ("Korean", ("*사위*",)),
    ("Arabic, Persian", ("مائل*",)),
    ("Hebrew", ("אלכסוני",)),
)
"""Oblique, lordotic, decubitus and axial views: not frontal, but not taken from the side either."""

NOT_FRONTAL: Rows = (*LATERAL, *OBLIQUE)
SUPINE = (
    *("DECÚBITO SUPINO", "DECÚBITO DORSAL", "DECUBITO DORSALE", "DÉCUBITUS DORSAL", "DECUBITUS SUPINE"),
    *("SUPINE DECUBITUS", "DEC SUPINO"),
)
"""The patient lies on the back, and the view may be frontal. Not *dorsal decubitus*: a lateral view."""

NOTHING: Rows = (
    (
        "English",
        ("UNKNOWN", "UNK", "UNKN", "UNSPECIFIED", "UNDEFINED", "NOT", "SPECIFIED", "DEFINED", "STATED"),
    ),
    (
        "English",
        ("OTHER", "OTHERS", "NA", "NONE", "NO", "NULL", "NIL", "APPLICABLE", "AVAILABLE", "DEFAULT", "ANY"),
    ),
    ("English", ("STANDARD", "GENERAL", "GENERIC", "MISC", "MISCELLANEOUS", "EMPTY", "BLANK", "VARIOUS")),
    ("positions", ("SUPINE", "ERECT", "UPRIGHT", "STANDING", "SITTING", "PRONE", "SEMIERECT", "LYING")),
    (
        "circumstances",
        ("PORTABLE", "PORT", "MOBILE", "BED", "BEDSIDE", "XRAY", "X", "RAY", "XR", "CR", "DX", "DR", "RX"),
    ),
    ("German", ("UNBEKANNT", "SONSTIGE", "SONSTIGES", "ANDERE", "KEINE", "STEHEND", "LIEGEND")),
    ("French", ("INCONNU", "INCONNUE", "AUTRE", "AUTRES", "AUCUN", "AUCUNE", "DEBOUT", "COUCHÉ")),
    ("Italian", ("SCONOSCIUTO", "ALTRO", "ALTRI", "NESSUNO")),
    ("Spanish", ("DESCONOCIDO", "DESCONOCIDA", "OTRO", "OTROS", "OTRA", "OTRAS", "NINGUNO", "NINGUNA")),
    ("Portuguese", ("DESCONHECIDO", "OUTRO", "OUTROS", "NENHUM")),
    ("Dutch", ("ONBEKEND", "OVERIG", "OVERIGE", "GEEN")),
    ("Swedish, Norwegian, Danish", ("OKÄND", "UKJENT", "UKENDT", "ANNAT", "ANNET", "ANDET", "INGEN")),
    ("Finnish", ("TUNTEMATON", "MUU")),
    ("Polish", ("NIEZNANY", "NIEZNANE", "INNE", "INNY", "BRAK")),
    ("Czech, Slovak", ("NEZNÁMÝ", "NEZNÁMÉ", "JINÉ", "INÉ")),
    ("Hungarian, Romanian", ("ISMERETLEN", "EGYÉB", "NECUNOSCUT", "ALTELE")),
    ("Croatian, Slovenian", ("NEPOZNATO", "OSTALO", "NEZNANO", "DRUGO")),
    ("Turkish", ("BİLİNMEYEN", "DİĞER")),
    ("Greek", ("ΆΓΝΩΣΤΟ", "ΆΛΛΟ")),
    ("Russian, Ukrainian, Bulgarian", ("НЕИЗВЕСТНО", "НЕВІДОМО", "ДРУГОЕ", "ІНШЕ", "ДРУГО", "НЕТ")),
    ("Chinese, Japanese, Korean", ("其他", "其它", "未知", "不明", "その他", "기타")),
)
"""Words that say neither a body part nor a view. A text of nothing else is a missing value."""


def all_of(rows: Rows) -> Iterator[str]:
    """Yield the terms of all rows."""
    return (term for _, terms in rows for term in terms)
