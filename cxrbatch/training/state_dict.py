"""Read the weights of a PyTorch network without PyTorch: a state dict (``.pth``) in, NumPy arrays out.

The file is a pickle, and unpickling runs what a pickle says. So it is not unpickled: its opcodes are listed by
`pickletools.genops`, which executes nothing, and interpreted here. Only what a state dict consists of is understood.
The format is that of ``torch.save`` before PyTorch 1.6: five pickles, then the storages.
"""

import io
import itertools
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cxrbatch.errors import RecipeError

StateDict = Mapping[str, NDArray[Any]]
"""Arrays by parameter name, such as ``_blocks.0._bn1.weight``."""

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}
_TENSOR = "torch._utils _rebuild_tensor_v2"
_DICTIONARY = "collections OrderedDict"
_CALLABLE = {_TENSOR, _DICTIONARY}
_MOST_OPCODES = 1_000_000


def read_state_dict(path: Path) -> StateDict:
    """Read a state dict that ``torch.save`` wrote before PyTorch 1.6.

    Parameters
    ----------
    path : Path

    Returns
    -------
    mapping of str to ndarray
        float32 or int64, in the shapes of PyTorch: convolutions are (out, in, height, width).

    Raises
    ------
    RecipeError
        The file is not there, is damaged, or holds anything but tensors.
    """
    try:
        # In memory, because a read from there is never longer than the file, whatever length the file states.
        return _read(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise RecipeError(f"weights {path}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise RecipeError(f"weights {path}: no state dict of PyTorch in the format before 1.6") from error


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _read(stream: BinaryIO) -> StateDict:
    magic, _protocol, _system, tensors, keys = (_value(stream) for _ in range(5))
    if magic != _MAGIC or not isinstance(tensors, dict):
        raise ValueError("magic number")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _storage(stream, dtypes[key]) for key in keys}
    return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _storage(stream: BinaryIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    (count,) = struct.unpack("<q", stream.read(8))
    data = stream.read(
        count * dtype.itemsize
    )  # a length beyond the end of the file reads less, and is refused
    return np.frombuffer(data, dtype, count)


def _array(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * step for size, step in steps)
    numbers = (*tensor.shape, *tensor.strides, tensor.offset)
    if min(numbers) < 0 or 0 in tensor.shape or last >= storage.size:
        raise ValueError("tensor outside its storage")
    strides = [step * storage.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()


def _value(stream: BinaryIO) -> Any:
    """Read one pickle; the stream is then behind it."""
    machine = _Machine()
    for opcode, argument, _ in itertools.islice(pickletools.genops(stream), _MOST_OPCODES):
        if opcode.name == "STOP":
            return machine.stack.pop()
        machine.take(opcode.name, argument)
    raise ValueError("too many opcodes")


_MARK = object()


@dataclass(slots=True)
class _Machine:
    """The stack machine of the pickle format, as far as state dicts need it; it calls nothing of the file."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def take(self, opcode: str, argument: Any) -> None:
        """Execute one opcode; an unknown one raises KeyError."""
        if opcode in _PUSHED:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif opcode != "PROTO":
            _CHANGES[opcode](self)

    def since_mark(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        start = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        taken = self.stack[start + 1 :]
        del self.stack[start:]
        return taken

    def take_last(self, count: int) -> list[Any]:
        """Take the last values of the stack."""
        if len(self.stack) < count:
            raise ValueError("empty stack")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(tuple(machine.take_last(count)))


def _tuple(machine: _Machine) -> None:
    machine.stack.append(tuple(machine.since_mark()))


def _set_item(machine: _Machine) -> None:
    key, value = machine.take_last(2)
    machine.stack[-1][key] = value


def _set_items(machine: _Machine) -> None:
    taken = machine.since_mark()
    machine.stack[-1].update(zip(taken[::2], taken[1::2], strict=True))


def _append(machine: _Machine) -> None:
    (value,) = machine.take_last(1)
    machine.stack[-1].append(value)


def _append_all(machine: _Machine) -> None:
    taken = machine.since_mark()
    machine.stack[-1].extend(taken)


def _persistent(machine: _Machine) -> None:
    """Replace the description of a storage: ("storage", type, key, device, number of elements, None)."""
    _, kind, key, *_ = machine.stack.pop()
    machine.stack.append(_Storage(key, _DTYPES[kind]))


def _reduce(machine: _Machine) -> None:
    """Build what the two known callables would build."""
    name, arguments = machine.take_last(2)
    if name not in _CALLABLE:
        raise ValueError(f"calls {name}")
    machine.stack.append(_Tensor(*arguments[:4]) if name == _TENSOR else {})


def _build(machine: _Machine) -> None:
    """Drop the attributes of a state dict (``_metadata``)."""
    machine.stack.pop()


_PUSHED = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "GLOBAL"}
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_CHANGES: Mapping[str, Callable[[_Machine], None]] = {
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "APPEND": _append,
    "APPENDS": _append_all,
    "BINPERSID": _persistent,
    "REDUCE": _reduce,
    "BUILD": _build,
}
