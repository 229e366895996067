"""The architecture of the package, as its imports show it.

Rooms stand in layers and imports go down only; a room is entered by its door, which is its ``__init__``; there is no
cycle; files are short. Imports are read with `ast`, those within functions too.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cxrbatch

PACKAGE = Path(cxrbatch.__file__).parent
LONGEST = 350

LAYERS = (
    ("errors", "reasons", "resample", "stats"),
    ("_lib",),
    ("records", "limits", "preprocess", "pages", "terms"),
    ("objects",),
    ("bundle", "discover", "gate", "read", "state"),
    ("infer", "prepare", "triage", "results"),
    ("engines", "explain"),
    ("report",),
    ("screening", "prediction", "embedding", "datasets"),
    ("evaluation", "doctor"),
    ("audit",),
    ("training", "web"),
    ("cli",),
)
"""From the ground up. Rooms of one layer do not import each other."""

SIDE_DOORS = {
    "_lib": "a shelf of helpers that have nothing to do with each other; each module is its own door",
}
"""Rooms whose modules are imported one by one, and why."""

Modules = Mapping[str, str]


def sources(package: Path = PACKAGE) -> dict[str, str]:
    """Source of every module, by its dotted name."""
    return {
        _dotted(path.relative_to(package.parent)): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(modules: Modules) -> dict[str, set[str]]:
    """For every module the modules of the package that it imports, wherever in its source."""
    return {name: set(_imported(ast.parse(source), modules)) for name, source in modules.items()}


def _imported(tree: ast.Module, modules: Modules) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                if below in modules:
                    yield below
                elif node.module in modules:
                    yield str(node.module)


def room_of(module: str) -> str:
    """Name of the room or single module, without the package; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def between_rooms(modules: Modules) -> Iterator[tuple[str, str]]:
    """Pairs of an importing module and what it imports from another room."""
    for name, imported in imports(modules).items():
        for other in sorted(imported):
            if room_of(name) != room_of(other) and room_of(name) != "" != room_of(other):
                yield name, other


def find_cycle(edges: Mapping[str, set[str]]) -> list[str]:
    """One cycle of imports; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def find_long(modules: Modules) -> set[str]:
    """Modules with more lines than `LONGEST`."""
    return {name for name, source in modules.items() if source.count("\n") > LONGEST}


def find_upward(modules: Modules) -> list[tuple[str, str]]:
    """Imports that do not go down: from a higher layer, or from a neighbour in one's own."""
    level = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    return [
        (name, other)
        for name, other in between_rooms(modules)
        if level[room_of(other)] >= level[room_of(name)]
    ]


def find_past_doors(modules: Modules) -> list[tuple[str, str]]:
    """Imports of a module within another room, where there is no side door."""
    return [
        (name, other)
        for name, other in between_rooms(modules)
        if other.count(".") > 1 and room_of(other) not in SIDE_DOORS
    ]


def find_users_of_the_package(modules: Modules) -> list[str]:
    """Modules that import the public names of the package itself, which lies above all rooms."""
    return [name for name, imported in imports(modules).items() if name.split(".")[0] in imported]


def find_homonyms(modules: Modules) -> set[str]:
    """Names that a door gives out although a module behind it has the same name."""
    return {
        f"{door}.{name}"
        for door, source in modules.items()
        for name in _given_out(ast.parse(source))
        if f"{door}.{name}" in modules
    }


def _given_out(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def test_every_room_stands_in_one_layer() -> None:
    rooms = {room_of(name) for name in sources()} - {"", "__main__"}
    placed = [room for layer in LAYERS for room in layer]
    assert len(placed) == len(set(placed))
    assert rooms == set(placed)


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert find_cycle(imports(sources())) == []


def test_imports_go_down() -> None:
    modules = sources()
    del modules["cxrbatch.__main__"]
    assert find_upward(modules) == []


def test_no_room_imports_the_package_itself() -> None:
    assert find_users_of_the_package(sources()) == []


def test_the_docstring_of_the_package_draws_these_layers() -> None:
    table = (cxrbatch.__doc__ or "").split("==========  ")[1:]
    drawn = [re.sub(r"^(outermost|ground)", "", line) for line in table[0].splitlines()[1:] if line]
    assert [set(line.strip().split(", ")) for line in drawn] == [set(layer) for layer in reversed(LAYERS)]


def test_rooms_are_entered_by_their_doors() -> None:
    assert find_past_doors(sources()) == []


def test_no_name_of_a_door_is_that_of_a_module_behind_it() -> None:
    assert find_homonyms(sources()) == set()


def test_files_are_short() -> None:
    assert find_long(sources()) == set()


@pytest.mark.parametrize(
    "door", sorted({name for name in sources() if (PACKAGE.parent / name.replace(".", "/")).is_dir()})
)
def test_a_door_gives_out_what_it_names(door: str) -> None:
    module = __import__(door, fromlist=["_"])
    names = getattr(module, "__all__", None)
    assert (names is not None) == (door.count(".") < 2 and door != "cxrbatch._lib")
    assert all(getattr(module, name) is not None for name in names or ())


def test_doors_load_nothing_large() -> None:
    rooms = sorted({f"cxrbatch.{room_of(name)}" for name in sources()} - {"cxrbatch.", "cxrbatch.__main__"})
    code = f"""
import importlib, sys
for room in {rooms!r}:
    importlib.import_module(room)
print(sorted({{"tensorflow", "keras", "pandas", "pyarrow", "ray"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("within_a_function", [False, True])
def test_a_planted_cycle_is_found(within_a_function: bool) -> None:
    indent = "def f():\n    " if within_a_function else ""
    planted = {"p": "", "p.a": "from p import b", "p.b": f"{indent}from p.a import x"}
    assert sorted(set(find_cycle(imports(planted)))) == ["p.a", "p.b"]


def test_a_planted_relative_import_is_found() -> None:
    with pytest.raises(AssertionError, match="imports are absolute"):
        imports({"p": "", "p.a": "from .. import b"})


def test_a_planted_import_of_the_package_is_found() -> None:
    assert find_users_of_the_package({"p": "", "p.a": "from p import screen", "p.b": "from p import a"}) == [
        "p.a"
    ]


PLANTED = {"p": "", "p.read": "", "p.read.raster": "", "p.gate": "", "p.report": "", "p.gate.header": ""}


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("p.gate.header", "from p.report import write_report", ("p.gate.header", "p.report")),
        ("p.gate.header", "from p.read import open_image", ("p.gate.header", "p.read")),
        ("p.gate.header", "def f():\n    from p import report", ("p.gate.header", "p.report")),
        ("p.report", "from p.gate import check_header", None),
    ],
    ids=["upward", "neighbour", "within a function", "down"],
)
def test_a_planted_upward_import_is_found(module: str, source: str, wrong: tuple[str, str] | None) -> None:
    assert find_upward({**PLANTED, module: source}) == ([wrong] if wrong else [])


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("from p.read.raster import open_raster", True),
        ("import p.read.raster", True),
        ("from p.read import raster", True),
        ("from p.read import open_image", False),
        ("from p._lib.text import visible", False),
    ],
)
def test_a_planted_way_past_a_door_is_found(source: str, wrong: bool) -> None:
    planted = {**PLANTED, "p._lib": "", "p._lib.text": "", "p.report": source}
    assert find_past_doors(planted) == ([("p.report", "p.read.raster")] if wrong else [])


def test_a_planted_homonym_is_found() -> None:
    assert find_homonyms({"p": "__all__ = ['screen', 'predict']", "p.screen": ""}) == {"p.screen"}


def test_a_planted_long_file_is_found() -> None:
    assert find_long({"p.a": "\n" * (LONGEST + 1), "p.b": "\n" * LONGEST}) == {"p.a"}
