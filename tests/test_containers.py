"""The image and the Compose file: no root, pinned packages, and what they name is there."""

import json
import re
import shlex
import subprocess
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.cli.app import cli
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "pipelines" / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (FOLDER / "compose.yaml").read_text(encoding="utf-8")


def stage(name: str) -> list[list[str]]:
    """Instructions of a stage of the Dockerfile."""
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    start = next(number for number, line in enumerate(lines) if re.fullmatch(rf"FROM \S+ AS {name}", line))
    end = next((n for n, line in enumerate(lines) if n > start and line.startswith("FROM ")), len(lines))
    return [line.split(maxsplit=1) for line in lines[start:end]]


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_nobody_is_root(name: str) -> None:
    users = [words for instruction, words in stage(name) if instruction == "USER"]
    assert users[-1] == "10001:10001"


def test_the_base_is_of_choice_and_every_package_has_a_hash() -> None:
    assert ["FROM", "${BASE} AS cpu"] in stage("cpu")
    assert "\nARG BASE=" in DOCKERFILE
    installs = re.findall(r"pip install [^&]*", re.sub(r"\\\n", "", DOCKERFILE))
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_what_is_copied_is_there_and_nothing_waits_for_its_health() -> None:
    copied = [shlex.split(line)[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY")]
    names = [name for words in copied for name in words]
    assert {"cxrbatch", "requirements.lock", "requirements-extras.lock", "LICENSE-WEIGHTS"} <= set(names)
    assert [name for name in names if not (REPOSITORY / name).exists()] == []
    assert ["HEALTHCHECK", "NONE"] in stage("cpu")


def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    content: dict[str, Any] = yaml.safe_load(COMPOSE)
    return content


def test_the_night_of_compose_is_one_and_may_do_little() -> None:
    screen = compose()["services"]["screen"]
    program, *arguments = screen["command"]
    given = [word.replace("/etc/cxrbatch", str(FOLDER.parent)) for word in arguments]
    params = cli.commands[program].make_context(program, given).params
    assert (params["folder"], params["latest"]) == (Path("/export/pacs"), True)
    assert (screen["network_mode"], screen["read_only"], screen["cap_drop"]) == ("none", True, ["ALL"])
    places = {volume.split(":")[1] for volume in screen["volumes"]}
    assert places >= {str(params["state"].parent), str(params["out"].parent), str(params["folder"])}
    assert "export:/export/pacs:ro" in screen["volumes"]
    assert screen["build"]["target"] == "cpu"
    assert (FOLDER / screen["build"]["context"]).resolve() == REPOSITORY


def test_orthanc_of_compose_has_the_script_and_asks_who_is_there() -> None:
    services = compose()
    mounts = dict(volume.split(":")[:2] for volume in services["services"]["orthanc"]["volumes"])
    config = json.loads((FOLDER / "orthanc.json").read_text(encoding="utf-8"))
    local = {name for name in mounts if name.startswith(".")}
    assert all((FOLDER / name).is_file() for name in local)
    assert set(mounts) - local <= set(services["volumes"])
    assert set(config["LuaScripts"]) <= set(mounts.values())
    assert config["StorageDirectory"] in mounts.values()
    assert config["AuthenticationEnabled"]
    assert services["services"]["orthanc"]["environment"]["CXRBATCH_EXPORT"] in mounts.values()


def test_only_this_machine_reaches_the_pages_of_orthanc() -> None:
    assert re.findall(r'"([\d.:]*8042:8042)"', COMPOSE) == ["127.0.0.1:8042:8042"]


def test_the_gpu_target_installs_what_tensorflow_wants_of_cuda(tmp_path: Path) -> None:
    program = re.search(r"awk '([^']*)'", DOCKERFILE)
    assert program
    lock = REPOSITORY / "requirements-extras.lock"
    command = ["awk", program[1], lock]
    kept = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^(\S+?)==", kept, re.MULTILINE))
    asked = [line for line in requires("tensorflow") or [] if 'extra == "and-cuda"' in line]
    wanted = {re.split(r"[^\w-]", line)[0].lower() for line in asked}
    assert wanted
    assert names >= {name for name in wanted if name.startswith("nvidia")} == wanted
    assert kept.count("==") == len(names) <= kept.count("--hash=sha256:")
