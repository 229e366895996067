"""What release 0.1.0 (commit 9847cd3) left on a machine: a state of two nights, a bundle of format 1, its recipe."""

import hashlib
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

WRITTEN = Path(__file__).parents[1] / "state"
STATE = WRITTEN / "state_of_9847cd3.sqlite"
"""The sample night of 31 files on two nights, and six PCR results."""
BUNDLE = WRITTEN / "bundle_of_9847cd3.json"
"""``bundle.json`` of the bundle that it shipped, without line breaks."""
RECIPE = WRITTEN / "nightly_of_9847cd3.toml"
"""Its ``pipelines/nightly.toml``."""


def write_former_state(path: Path, night: Path) -> Path:
    """Write the state, as if it had been written over this copy of the sample night."""
    shutil.copyfile(STATE, path)
    with closing(sqlite3.connect(path)) as connection:
        for id_, name in connection.execute("SELECT id, name FROM image").fetchall():
            found = (night / json.loads(name)).stat()
            connection.execute(
                "UPDATE image SET root = ?, size_bytes = ?, mtime_ns = ?, ctime_ns = ? WHERE id = ?",
                (json.dumps(str(night)), found.st_size, found.st_mtime_ns, found.st_ctime_ns, id_),
            )
        connection.commit()
    path.chmod(0o600)
    return path


def write_dumped_state(path: Path, dump: str) -> Path:
    """Write a state from the SQL of a file in ``tests/state``."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((WRITTEN / dump).read_text(encoding="utf-8"))
    return path


def write_former_bundle(path: Path, small: Path) -> Path:
    """Write a bundle with all that the shipped one stated, and the network of a small one of 64 × 64 pixels."""
    path.mkdir()
    content = json.loads(BUNDLE.read_text(encoding="utf-8"))
    content["preprocess"] |= {"height": 64, "width": 64}
    (path / "bundle.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for name in ("gate.npz", "model.keras"):
        shutil.copyfile(small / name, path / name)
    names = ("bundle.json", "gate.npz", "model.keras")
    sums = (f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (path / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
    return path


def write_former_recipe(path: Path, night: Path, state: Path, bundle: Path) -> Path:
    """Write the recipe as a hospital had it: with its own folder, state and bundle."""
    text = RECIPE.read_text(encoding="utf-8")
    for key, value in {"folder": night, "state": state, "bundle": bundle}.items():
        text, n_found = re.subn(rf"^(?:# )?{key} = .*$", f'{key} = "{value}"', text, flags=re.MULTILINE)
        assert n_found == 1
    path.write_text(text, encoding="utf-8")
    return path
