"""Docstrings of the package: functions begin with an imperative verb, modules have one, references exist."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cxrbatch

PACKAGE = Path(cxrbatch.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

VERBS = frozenset(
    """
    Add Aggregate Answer Apply Assign Average Batch Black Blur Brighten Build Call Change Check Choose Classify
    Close Collect Combine Compare Compress Compute Concatenate Convert Copy Correct Correlate Count Create Crop
    Cut Deal Decide Decode Delete Derive Describe Disable Divide Do Draw Drop Encode End Enlarge Equalise Escape
    Estimate Exchange Exclude Execute Extract Fill Find Fit Flag Flip Follow Forget Frame Give Go Group Hand
    Hash Hold Import Inflate Invert Keep Kill Let Limit List Load Lock Log Look Make Map Mark Measure Move Name
    Normalise Open Pack Paint Parse Plot Predict Prepare Preprocess Print Probe Put Raise Randomise Rank Read
    Recognise Reduce Refuse Remove Render Replace Report Resample Rescale Reset Resize Resolve Restore Return
    Rewrite Rotate Round Run Save Say Scale Score Screen Select Send Serve Set Shift Shorten Show Silence Sort Split
    Standardise Start State Store Submit Sum Suppress Take Train Try Turn Unpack Update Use Verify Wait Weigh
    Work Write Yield
    """.split()  # noqa: SIM905 - a list would be longer than the test
)
"""Grows with the code. No word is here that does not say what a function does."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: str) -> Iterator[Function]:
    """Functions and methods with a docstring, without properties and without special methods."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function) and ast.get_docstring(node):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if not decorators & {"property", "cached_property"} and not node.name.startswith("__"):
                yield node


def begins_with_verb(docstring: str) -> bool:
    """Whether the first word is a verb of the list and not used as a noun ("Score of the image")."""
    first, *rest = re.findall(r"\w+", docstring)[:2]
    return first in VERBS and rest != ["of"]


def without_verb(source: str) -> list[str]:
    """Names of functions whose docstring begins otherwise."""
    return [node.name for node in functions(source) if not begins_with_verb(str(ast.get_docstring(node)))]


def exists(reference: str) -> bool:
    """Whether a dotted name of the package is a module, or something that a module holds."""
    parts = reference.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for name in parts[n:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_say_what_they_do(path: Path) -> None:
    assert without_verb(path.read_text(encoding="utf-8")) == []


def test_every_module_has_a_docstring() -> None:
    assert [
        path for path in FILES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ] == []


def test_what_docstrings_refer_to_exists() -> None:
    references = {
        (str(path.relative_to(PACKAGE)), reference)
        for path in FILES
        for reference in re.findall(r"`(cxrbatch(?:\.\w+)+)`", path.read_text(encoding="utf-8"))
    }
    assert len(references) > 50
    assert [(file, reference) for file, reference in sorted(references) if not exists(reference)] == []


@pytest.mark.parametrize(
    ("docstring", "wrong"),
    [
        ("Whether it is so.", True),
        ("The mean.", True),
        ("Score of an image.", True),
        ("Reads it.", True),
        ("Read, then write.", False),
    ],
)
def test_a_planted_clause_is_found(docstring: str, wrong: bool) -> None:
    assert without_verb(f'def f():\n    """{docstring}"""') == (["f"] if wrong else [])
