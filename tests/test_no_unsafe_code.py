"""The package holds no call that runs what a file says, starts a program, or asks the network."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cxrbatch

PACKAGE = Path(cxrbatch.__file__).parent
MODULES = frozenset(
    (
        *(
            "pickle",
            "cPickle",
            "marshal",
            "shelve",
            "dill",
            "cloudpickle",
            "joblib",
            "jsonpickle",
            "yaml",
            "dbm",
        ),
        *("subprocess", "pty", "code", "runpy", "imp", "webbrowser"),
        *(
            "socket",
            "ssl",
            "http",
            "urllib.request",
            "ftplib",
            "smtplib",
            "requests",
            "urllib3",
            "aiohttp",
            "xmlrpc",
        ),
    )
)
CALLS = frozenset(
    (
        *("eval", "exec", "compile", "__import__", "breakpoint"),
        *(
            "system",
            "popen",
            "execv",
            "execve",
            "execvp",
            "spawnl",
            "spawnv",
            "posix_spawn",
            "fork",
            "mktemp",
        ),
        *("read_pickle", "to_pickle", "unsafe_load", "get_file", "enable_unsafe_deserialization"),
        *("enable_load_extension", "load_extension", "load_weights", "extractall"),
    )
)
NEVER = {"allow_pickle": True, "safe_mode": False, "shell": True}
ALWAYS = {
    ("np", "load"): {"allow_pickle": False},
    ("models", "load_model"): {"safe_mode": True, "compile": False},
}

EXCEPTIONS = {
    "_lib/packed.py": ["pickle"],
    "cli/desktop.py": ["webbrowser"],
    "cli/notify.py": ["subprocess"],
    "engines/processes.py": ["fork"],
    "engines/ray_last_words.py": ["socket"],
}
"""What is allowed where: the outcomes of a run are held as compressed pickles, which the same process has made and
which are in no file. ``predict --open`` shows an image that it wrote, and ``screen --notify`` starts the program that
it names, both on request and without a shell. Readers are copies of a process that has imported the package and
nothing else. ``--engine ray`` tries whether the nodes that it needs still answer, and says nothing to them.
"""


def unsafe(source: str) -> list[str]:
    """What is not allowed in a module, by line."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt | ast.expr)]
    return [f"{node.lineno}: {what}" for node in nodes for what in _rejections(node)]


def _rejections(node: ast.stmt | ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if _is_forbidden(alias.name))
    elif isinstance(node, ast.ImportFrom) and node.module:
        names = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        yield from (name for name in names if _is_forbidden(name))
    elif isinstance(node, ast.Call):
        yield from _call_rejections(node)


def _is_forbidden(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:n]) in MODULES for n in range(1, len(parts) + 1))


def _call_rejections(call: ast.Call) -> Iterator[str]:
    owner, name = _called(call.func)
    if name in CALLS and not (owner and name == "compile"):  # of a regular expression, of a model
        yield name
    said = {keyword.arg: getattr(keyword.value, "value", ...) for keyword in call.keywords}
    yield from (
        f"{key}={value}" for key, value in NEVER.items() if said.get(key, not value) is not (not value)
    )
    for key, value in ALWAYS.get((owner, name), {}).items():
        if said.get(key, ...) is not value:
            yield f"{name} without {key}={value}"


def _called(function: ast.expr) -> tuple[str, str]:
    """Name of the object and of its method; only the latter for a function."""
    if isinstance(function, ast.Attribute):
        return getattr(function.value, "id", getattr(function.value, "attr", "?")), function.attr
    return "", getattr(function, "id", "")


@pytest.mark.parametrize(
    "module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_nothing_unsafe(module: Path) -> None:
    found = [what.partition(": ")[2] for what in unsafe(module.read_text(encoding="utf-8"))]
    assert found == EXCEPTIONS.get(module.relative_to(PACKAGE).as_posix(), [])


@pytest.mark.parametrize(
    ("source", "rejection"),
    [
        ("import pickle", "1: pickle"),
        ("from multiprocessing import pool\nfrom urllib import request", "2: urllib.request"),
        ("import urllib.request as u", "1: urllib.request"),
        ("from joblib import load", "1: joblib"),
        ("x = eval('1')", "1: eval"),
        ("import os\nos.system('ls')", "2: system"),
        ("pd.read_pickle(p)", "1: read_pickle"),
        ("np.load(p)", "1: load without allow_pickle=False"),
        ("np.load(p, allow_pickle=True)", "1: allow_pickle=True"),
        ("np.load(p, allow_pickle=flag)", "1: allow_pickle=True"),
        ("keras.models.load_model(p)", "1: load_model without safe_mode=True"),
        ("keras.models.load_model(p, compile=False, safe_mode=False)", "1: safe_mode=False"),
        ("archive.extractall()", "1: extractall"),
    ],
)
def test_what_would_be_noticed(source: str, rejection: str) -> None:
    assert rejection in unsafe(source)


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('a')",
        "json.loads(text)",
        "np.load(stream, allow_pickle=False)",
        "model.compile('adam')",
        "from urllib.parse import urlsplit",
        "keras.models.load_model(p, compile=False, safe_mode=True)",
    ],
)
def test_what_is_meant_to_pass(source: str) -> None:
    assert unsafe(source) == []
