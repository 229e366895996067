"""What runs the network."""

from pathlib import Path

import pytest

from cxrbatch.bundle import load_bundle
from cxrbatch.errors import UsageProblem
from cxrbatch.infer import Device, Precision, RuntimeChoice, choice, choose_runtime

TENSORFLOW, LITERT, AUTO = RuntimeChoice.TENSORFLOW, RuntimeChoice.LITERT, RuntimeChoice.AUTO


@pytest.fixture
def lite(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT is installed, and there is no GPU."""
    monkeypatch.setattr("cxrbatch._lib.litert.is_installed", lambda: True)
    monkeypatch.setattr(choice, "_has_gpu", lambda: False)


@pytest.mark.parametrize("device", [Device.AUTO, Device.CPU])
@pytest.mark.parametrize("precision", [Precision.AUTO, Precision.FLOAT32])
@pytest.mark.usefixtures("lite")
def test_auto_is_litert_where_all_is_there(device: Device, precision: Precision, lite_bundle: Path) -> None:
    bundle = load_bundle(lite_bundle)
    assert choose_runtime(bundle, AUTO, device, precision) is LITERT
    assert choose_runtime(bundle, TENSORFLOW, device, precision) is TENSORFLOW


@pytest.mark.parametrize(
    ("device", "precision", "advice"),
    [
        (Device.GPU, Precision.AUTO, "leave --device gpu away"),
        (Device.AUTO, Precision.MIXED_FLOAT16, "leave --precision mixed_float16 away"),
        (Device.CPU, Precision.MIXED_BFLOAT16, "leave --precision mixed_bfloat16 away"),
    ],
)
@pytest.mark.usefixtures("lite")
def test_gpu_and_half_precision_are_for_tensorflow(
    device: Device, precision: Precision, advice: str, lite_bundle: Path
) -> None:
    bundle = load_bundle(lite_bundle)
    assert choose_runtime(bundle, AUTO, device, precision) is TENSORFLOW
    with pytest.raises(UsageProblem, match=advice):
        choose_runtime(bundle, LITERT, device, precision)


@pytest.mark.usefixtures("lite")
def test_a_bundle_without_a_network_for_it_stays_on_tensorflow(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    assert choose_runtime(bundle, AUTO, Device.CPU, Precision.AUTO) is TENSORFLOW
    with pytest.raises(UsageProblem, match="cxrbatch bundle convert"):
        choose_runtime(bundle, LITERT, Device.CPU, Precision.AUTO)


def test_without_litert_everything_stays_on_tensorflow(
    lite_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrbatch._lib.litert.is_installed", lambda: False)
    bundle = load_bundle(lite_bundle)
    assert choose_runtime(bundle, AUTO, Device.CPU, Precision.AUTO) is TENSORFLOW
    with pytest.raises(UsageProblem, match=r"pip install 'cxrbatch\[litert\]'"):
        choose_runtime(bundle, LITERT, Device.CPU, Precision.AUTO)


@pytest.mark.usefixtures("lite")
def test_auto_leaves_a_machine_with_a_gpu_to_tensorflow(
    lite_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_has_gpu", lambda: True)
    bundle = load_bundle(lite_bundle)
    assert choose_runtime(bundle, AUTO, Device.AUTO, Precision.AUTO) is TENSORFLOW
    assert choose_runtime(bundle, AUTO, Device.CPU, Precision.AUTO) is LITERT
    assert choose_runtime(bundle, LITERT, Device.AUTO, Precision.AUTO) is LITERT


@pytest.mark.parametrize(
    ("file", "found"), [("nvidia0", True), ("dxg", True), ("kfd", True), ("nvidiactl", False), ("tty", False)]
)
def test_a_gpu_is_known_by_its_file(file: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    assert choice._has_gpu(tmp_path) is found
