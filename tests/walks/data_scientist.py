"""The data scientist's walk: every example of docs/python.md in one script, the tables on disk, the features.

``python tests/walks/data_scientist.py`` from the repository, with ``cxrbatch[parquet]`` and matplotlib.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
READ_BACK = """
table = pd.read_parquet("features.parquet")
assert table["patient_id"].str.startswith("SAMPLE-0").sum() > 20
vectors = table.dropna(subset=["feature_0000"]).filter(like="feature_")
assert len(vectors) > 20 and vectors.shape[1] > 100, vectors.shape
assert pd.read_parquet("night.parquet")["score"].max() <= 1
"""


def main() -> None:
    """Walk."""
    text = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(REPOSITORY / "sample_data", folder / "sample_data")
        for command in (
            "embed sample_data/night --out features.parquet",
            "screen sample_data/night --out night.csv --format csv,parquet",
        ):
            done = subprocess.run(
                [sys.executable, "-m", "cxrbatch", *command.split()], cwd=folder, check=False
            )
            assert done.returncode == 3, command
        (folder / "examples.py").write_text("\n".join((*examples, READ_BACK)), encoding="utf-8")
        subprocess.run([sys.executable, "examples.py"], cwd=folder, check=True)
        assert (folder / "scores.svg").read_text(encoding="utf-8").startswith("<?xml")
    sys.stderr.write("The data scientist's walk went well.\n")


if __name__ == "__main__":
    main()
