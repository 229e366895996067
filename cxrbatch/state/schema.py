"""Define the tables of the state, and the steps that update an older state to the latest version.

A step is never edited after a release: append another step.
"""

import sqlite3

APPLICATION_ID = 0x43585262
"""``CXRb``: distinguishes a state from any other SQLite file."""

_TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    night TEXT NOT NULL,              -- ISO date, see cxrbatch._lib.clock
    started TEXT NOT NULL,            -- ISO, UTC
    finished TEXT,                    -- NULL: running, killed or failed
    folder TEXT NOT NULL,
    bundle_sha256 TEXT NOT NULL,
    n_found INTEGER, n_scored INTEGER, n_not_scored INTEGER, n_skipped INTEGER
);

-- One row for every version of a file that was ever found. JSON where text may hold what is no UTF-8.
CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    root TEXT NOT NULL,               -- JSON; the screened folder
    name TEXT NOT NULL,               -- JSON; relative to it
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    first_night TEXT NOT NULL,        -- ISO date
    first_seen TEXT NOT NULL,         -- ISO, UTC
    settings TEXT NOT NULL,           -- hash of whatever decides the outcome beside the file
    bundle_sha256 TEXT NOT NULL,
    judged TEXT NOT NULL,             -- ISO, UTC
    status TEXT NOT NULL,             -- scored, not_scored, skipped
    reason TEXT NOT NULL,             -- empty where scored
    score_covid REAL,
    patient_key TEXT NOT NULL,        -- JSON
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    record TEXT NOT NULL,             -- JSON; see cxrbatch.state.codec
    thumbnail BLOB NOT NULL,
    duplicate_of TEXT NOT NULL DEFAULT '',  -- JSON; name of the file of which this is a second copy
    UNIQUE (root, name, size_bytes, mtime_ns, ctime_ns)
);
CREATE INDEX image_night ON image (first_night);
CREATE INDEX image_patient ON image (patient_key);
CREATE INDEX image_uid ON image (sop_instance_uid) WHERE sop_instance_uid <> '';
CREATE INDEX image_patient_id ON image (patient_id);
CREATE INDEX image_accession ON image (accession_number) WHERE accession_number <> '';
CREATE INDEX image_thumbnail ON image (first_night) WHERE thumbnail <> x'';

-- PCR results, one for each patient and day.
CREATE TABLE result (
    patient_key TEXT NOT NULL,        -- JSON
    date TEXT NOT NULL,               -- ISO; of the swab
    positive INTEGER NOT NULL,
    imported TEXT NOT NULL,           -- ISO, UTC
    PRIMARY KEY (patient_key, date)
) WITHOUT ROWID;

-- The list as it was reported, one for each night: the last of its runs.
CREATE TABLE listed (
    night TEXT NOT NULL,
    patient_key TEXT NOT NULL,        -- JSON
    position INTEGER NOT NULL,        -- from 1, ranked ones first
    status TEXT NOT NULL,             -- ranked, not_scored
    score REAL,
    priority TEXT NOT NULL,
    nights_waiting INTEGER NOT NULL,
    flags TEXT NOT NULL,              -- separated by ;
    reason TEXT NOT NULL,
    bundle_sha256 TEXT NOT NULL,
    PRIMARY KEY (night, patient_key)
) WITHOUT ROWID;
"""

# Patients have keys that hold what the file holds (docs/patients.md). Whatever is still there is read again.
_LOSSLESS_KEYS = """
ALTER TABLE image ADD COLUMN former_key TEXT NOT NULL DEFAULT '';  -- JSON; the key before it was read otherwise
CREATE INDEX image_former_key ON image (former_key) WHERE former_key <> '';
UPDATE image SET settings = '';
"""

_LISTS_OF_RUNS = """
ALTER TABLE listed RENAME TO listed_of_night;

-- The list of each finished run, as it was reported.
CREATE TABLE listed (
    run INTEGER NOT NULL REFERENCES run,
    patient_key TEXT NOT NULL,        -- JSON
    position INTEGER NOT NULL,        -- from 1, ranked ones first
    status TEXT NOT NULL,             -- ranked, not_scored, swabbed
    score REAL,
    priority TEXT NOT NULL,
    nights_waiting INTEGER NOT NULL,
    flags TEXT NOT NULL,              -- separated by ;
    reason TEXT NOT NULL,
    PRIMARY KEY (run, patient_key)
) WITHOUT ROWID;

-- Until now there was one list for each night, that of its last finished run.
INSERT INTO listed SELECT
    (SELECT id FROM run WHERE run.night = old.night ORDER BY finished IS NOT NULL DESC, id DESC LIMIT 1),
    patient_key, position, status, score, priority, nights_waiting, flags, reason FROM listed_of_night AS old;
DROP TABLE listed_of_night;
"""

_IMPORTS = """
ALTER TABLE result RENAME TO result_of_day;

CREATE TABLE import (
    id INTEGER PRIMARY KEY,
    imported TEXT NOT NULL,           -- ISO, UTC
    imported_by TEXT NOT NULL,        -- user of this machine; empty where unknown
    source_sha256 TEXT NOT NULL,      -- of the file; empty where unknown
    undone TEXT NOT NULL DEFAULT '',  -- ISO, UTC; empty while it counts
    undone_by TEXT NOT NULL DEFAULT ''
);

-- PCR results as they were imported; a row is added, and never changed.
CREATE TABLE result (
    patient_key TEXT NOT NULL,        -- JSON
    date TEXT NOT NULL,               -- ISO; of the swab
    import INTEGER NOT NULL REFERENCES import,
    positive INTEGER,                 -- NULL: swabbed, result pending
    PRIMARY KEY (patient_key, date, import)
) WITHOUT ROWID;
CREATE INDEX result_import ON result (import);

INSERT INTO import (imported, imported_by, source_sha256)
    SELECT DISTINCT imported, '', '' FROM result_of_day ORDER BY imported;
INSERT INTO result SELECT patient_key, date, import.id, positive
    FROM result_of_day JOIN import ON import.imported = result_of_day.imported;
DROP TABLE result_of_day;
"""

_LARGE_IMAGES = """
-- The large images of the first patients of the last list; who is not among them any more has none.
CREATE TABLE large_image (
    patient_key TEXT PRIMARY KEY,     -- JSON
    name TEXT NOT NULL,               -- JSON; of its file
    jpeg BLOB NOT NULL
) WITHOUT ROWID;
"""

_PAGES = """
ALTER TABLE run ADD COLUMN page TEXT NOT NULL DEFAULT '';  -- JSON; path of the page of the report, empty for none
"""

_OBJECTS = """
ALTER TABLE image RENAME TO image_of_files;

-- One row for every version of a file, or of an object of a store, that was ever found.
CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    root TEXT NOT NULL,               -- JSON; the screened folder, or s3://BUCKET/PREFIX
    name TEXT NOT NULL,               -- JSON; relative to it
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    first_night TEXT NOT NULL,        -- ISO date
    first_seen TEXT NOT NULL,         -- ISO, UTC
    settings TEXT NOT NULL,           -- hash of whatever decides the outcome beside the file
    bundle_sha256 TEXT NOT NULL,
    judged TEXT NOT NULL,             -- ISO, UTC
    status TEXT NOT NULL,             -- scored, not_scored, skipped
    reason TEXT NOT NULL,             -- empty where scored
    score_covid REAL,
    patient_key TEXT NOT NULL,        -- JSON
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    record TEXT NOT NULL,             -- JSON; see cxrbatch.state.codec
    thumbnail BLOB NOT NULL,
    duplicate_of TEXT NOT NULL DEFAULT '',  -- JSON; name of the file of which this is a second copy
    former_key TEXT NOT NULL DEFAULT '',    -- JSON; the key before it was read otherwise
    tag TEXT NOT NULL DEFAULT ''      -- ETag and VersionId of an object; empty for a file
);
INSERT INTO image SELECT id, root, name, size_bytes, mtime_ns, ctime_ns, first_night, first_seen, settings,
    bundle_sha256, judged, status, reason, score_covid, patient_key, patient_id, issuer_of_patient_id,
    accession_number, sop_instance_uid, record, thumbnail, duplicate_of, former_key, '' FROM image_of_files;
DROP TABLE image_of_files;

-- Times tell versions of a file apart, and the tag those of an object.
CREATE UNIQUE INDEX image_version ON image (root, name, size_bytes, tag,
    CASE tag WHEN '' THEN mtime_ns ELSE 0 END, CASE tag WHEN '' THEN ctime_ns ELSE 0 END);
CREATE INDEX image_night ON image (first_night);
CREATE INDEX image_patient ON image (patient_key);
CREATE INDEX image_uid ON image (sop_instance_uid) WHERE sop_instance_uid <> '';
CREATE INDEX image_patient_id ON image (patient_id);
CREATE INDEX image_accession ON image (accession_number) WHERE accession_number <> '';
CREATE INDEX image_thumbnail ON image (first_night) WHERE thumbnail <> x'';
CREATE INDEX image_former_key ON image (former_key) WHERE former_key <> '';
"""

STEPS = (_TABLES, _LOSSLESS_KEYS, _LISTS_OF_RUNS, _IMPORTS, _LARGE_IMAGES, _PAGES, _OBJECTS)
"""``STEPS[n]`` makes version n + 1 from version n: one step for one change, none edited after a release."""
SCHEMA_VERSION = len(STEPS)


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Update an older state to the latest version, in one transaction."""
    version = schema_version(connection)
    if version == SCHEMA_VERSION:
        return
    steps = "".join(STEPS[version:])
    connection.executescript(
        f"BEGIN IMMEDIATE;{steps}"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
