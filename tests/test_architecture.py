"""The architecture of the package, as its imports show it: imports go one way, and files are short.

Imports are read with `ast`, those within functions too.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cxrbatch

PACKAGE = Path(cxrbatch.__file__).parent
LONGEST = 350


def sources(package: Path = PACKAGE) -> dict[str, str]:
    """Source of every module, by its dotted name."""
    return {
        _dotted(path.relative_to(package.parent)): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """For every module the modules of the package that it imports, wherever in its source."""
    return {name: set(_imported(ast.parse(source), modules)) for name, source in modules.items()}


def _imported(tree: ast.Module, modules: Mapping[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                if below in modules:
                    yield below
                elif node.module in modules:
                    yield node.module


def find_cycle(edges: Mapping[str, set[str]]) -> list[str]:
    """One cycle of imports; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def find_long(modules: Mapping[str, str]) -> set[str]:
    """Modules with more lines than `LONGEST`."""
    return {name for name, source in modules.items() if source.count("\n") > LONGEST}


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert find_cycle(imports(sources())) == []


def test_files_are_short() -> None:
    assert find_long(sources()) == set()


@pytest.mark.parametrize("within_a_function", [False, True])
def test_a_planted_cycle_is_found(within_a_function: bool) -> None:
    indent = "def f():\n    " if within_a_function else ""
    planted = {"p": "", "p.a": "from p import b", "p.b": f"{indent}from p.a import x"}
    assert sorted(set(find_cycle(imports(planted)))) == ["p.a", "p.b"]


def test_a_planted_long_file_is_found() -> None:
    assert find_long({"p.a": "\n" * (LONGEST + 1), "p.b": "\n" * LONGEST}) == {"p.a"}
