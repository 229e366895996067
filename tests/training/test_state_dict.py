"""Weights of PyTorch are read without PyTorch, and nothing that a file says is run."""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrbatch.errors import RecipeError
from cxrbatch.training.state_dict import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C
"""Of the format; ``torch.serialization.MAGIC_NUMBER``."""


class _Named:
    """Stands for something of PyTorch: it is pickled by the name of its module and its own."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__qualname__, self.__name__ = module, name, name


class _Storage:
    def __init__(self, key: str, array: NDArray[Any]) -> None:
        self.key, self.array = key, array


class _Call:
    def __init__(self, name: str, *arguments: object) -> None:
        self.name, self.arguments = name, arguments


class _Pickler(pickle._Pickler):
    """Writes what ``torch.save`` writes."""

    write: Callable[[bytes], object]

    def persistent_id(self, value: object) -> object:
        if not isinstance(value, _Storage):
            return None
        kind = "FloatStorage" if value.array.dtype == np.float32 else "LongStorage"
        return "storage", _Global(f"torch {kind}"), value.key, "cpu", value.array.size, None

    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Global):
            module, name = value.text.split()
            self.write(f"c{module}\n{name}\n".encode())
        elif isinstance(value, _Call):
            self.save(_Global(value.name))
            self.save(value.arguments)
            self.write(b"R")
        else:
            super().save(value, save_persistent_id)  # type: ignore[misc]


class _Global:
    def __init__(self, text: str) -> None:
        self.text = text


def pth(
    arrays: dict[str, NDArray[Any]],
    views: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] | None = None,
) -> bytes:
    """Write a state dict as ``torch.save`` did before PyTorch 1.6."""
    storages = {name: _Storage(str(index), array) for index, (name, array) in enumerate(arrays.items())}
    tensors = {}
    for name, array in arrays.items():
        steps = tuple(step // array.itemsize for step in array.strides)
        offset, shape, strides = (views or {}).get(name, (0, array.shape, steps))
        hooks = _Call("collections OrderedDict")
        tensors[name] = _Call(
            "torch._utils _rebuild_tensor_v2", storages[name], offset, shape, strides, False, hooks
        )
    stream = io.BytesIO()
    for value in (MAGIC, 1001, {"little_endian": True, "type_sizes": {"int": 4}}):
        stream.write(pickle.dumps(value, protocol=2))
    _Pickler(stream, protocol=2).dump(tensors)
    stream.write(pickle.dumps([storage.key for storage in storages.values()], protocol=2))
    for storage in storages.values():
        stream.write(struct.pack("<q", storage.array.size) + storage.array.tobytes())
    return stream.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights é.pth"


def test_arrays_come_back_in_their_shapes_and_types(path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
        "bn.num_batches_tracked": np.array([7], np.int64),
        "bias": np.array([0.5, -1.0], np.float32),
    }
    path.write_bytes(pth(arrays))
    found = read_state_dict(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert (found[name] == array).all()


def test_strides_and_offsets_are_followed(path: Path) -> None:
    path.write_bytes(pth({"t": np.arange(12, dtype=np.float32)}, {"t": (1, (2, 3), (1, 4))}))
    assert read_state_dict(path)["t"].tolist() == [[1, 5, 9], [2, 6, 10]]


@pytest.mark.parametrize(
    "view",
    [
        (0, (13,), (1,)),
        (12, (1,), (1,)),
        (-1, (1,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 7), (6, 1)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(
    view: tuple[int, tuple[int, ...], tuple[int, ...]], path: Path
) -> None:
    path.write_bytes(pth({"t": np.arange(12, dtype=np.float32)}, {"t": view}))
    with pytest.raises(RecipeError, match="no state dict"):
        read_state_dict(path)


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("position", range(5))
def test_a_planted_call_is_not_run(position: int, path: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    parts: list[object] = [MAGIC, 1001, {}, OrderedDict(), []]
    parts[position] = _Payload(marker)
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    with pytest.raises(RecipeError, match="no state dict"):
        read_state_dict(path)
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_every_cut_and_much_damage_is_one_message(path: Path) -> None:
    whole = pth({"a": np.ones((2, 2), np.float32), "b": np.zeros(3, np.int64)})
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(RecipeError, match="no state dict"):
            read_state_dict(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            read_state_dict(path)
        except RecipeError:
            continue


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(RecipeError, match=r"weights .*é\.pth: No such file"):
        read_state_dict(path)
