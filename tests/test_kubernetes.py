"""The Kubernetes example, which was never run: it parses, and starts nodes as docs/cluster.md says."""

import re
import shlex
from typing import Any

import pytest

from cxrbatch.engines.ray_node import ENVIRONMENT
from tests.conftest import REPOSITORY

EXAMPLE = (REPOSITORY / "pipelines" / "kubernetes" / "cluster.yaml").read_text(encoding="utf-8")
DOCUMENT = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def objects() -> dict[str, dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    return {content["kind"]: content for content in yaml.safe_load_all(EXAMPLE)}


def pod(content: dict[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = content["spec"]["template"]
    assert content["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    found: dict[str, Any] = template["spec"]
    return found


@pytest.fixture(params=["StatefulSet", "Deployment"])
def node(request: pytest.FixtureRequest, objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return pod(objects[request.param])


def test_the_example_says_that_it_is_untested() -> None:
    assert "UNTESTED" in EXAMPLE.splitlines()[0]
    assert re.search(r"kubernetes/cluster\.yaml\)[^.]*untested", DOCUMENT)


def test_the_objects(objects: dict[str, dict[str, Any]]) -> None:
    assert list(objects) == ["Service", "NetworkPolicy", "StatefulSet", "Deployment"]
    assert {content["metadata"]["namespace"] for content in objects.values()} == {"cxrbatch"}
    policy, service = objects["NetworkPolicy"]["spec"], objects["Service"]["spec"]
    assert policy["ingress"] == [{"from": [{"podSelector": policy["podSelector"]}]}]
    assert service["selector"] == objects["StatefulSet"]["spec"]["selector"]["matchLabels"]
    assert objects["Service"]["metadata"]["name"] == objects["StatefulSet"]["spec"]["serviceName"] == "first"


def test_every_node_has_the_environment_and_a_token_that_does_not_stand_here(node: dict[str, Any]) -> None:
    (container,) = node["containers"]
    environment = {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
    assert ENVIRONMENT.items() <= environment.items()
    assert environment["RAY_AUTH_TOKEN"] == {"secretKeyRef": {"name": "ray-token", "key": "token"}}


def test_nodes_are_started_as_the_document_says(objects: dict[str, dict[str, Any]]) -> None:
    documented = [shlex.split(line) for line in DOCUMENT.splitlines() if line.startswith("ray start")]
    for kind, words in zip(("StatefulSet", "Deployment"), documented, strict=True):
        (container,) = pod(objects[kind])["containers"]
        options = {word.split("=")[0] for word in container["command"]}
        assert options == {word.split("=")[0] for word in words} | {"--block", "--num-cpus"}


def test_nodes_are_not_root_and_only_read_the_export(node: dict[str, Any]) -> None:
    (container,) = node["containers"]
    assert node["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in node["volumes"]}
    assert mounts["export"] == {"name": "export", "mountPath": "/export/pacs", "readOnly": True}
    assert mounts["shared-memory"]["mountPath"].endswith("/shm")
