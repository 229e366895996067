"""Mutations that know nothing of the format."""

import numpy as np

from tests.fuzz.draw import Mutation, place

_MOST_FLIPS = 8


def flip(data: bytes, random: np.random.Generator) -> bytes:
    """Flip single bits; headers more often than what follows."""
    damaged = bytearray(data)
    for _ in range(int(random.integers(1, _MOST_FLIPS + 1))):
        reach = min(len(data), 1500) if random.random() < 0.6 else len(data)
        damaged[place(reach, random)] ^= 1 << int(random.integers(8))
    return bytes(damaged)


def overwrite(data: bytes, random: np.random.Generator) -> bytes:
    """Put noise, zeros or ones over a stretch."""
    begin, n = place(len(data), random), int(random.integers(1, 64))
    stretch = (b"\0" * n, b"\xff" * n, random.bytes(n))[int(random.integers(3))]
    return (data[:begin] + stretch + data[begin + n :])[: len(data)]


def truncate(data: bytes, random: np.random.Generator) -> bytes:
    return data[: place(len(data), random)]


def cut(data: bytes, random: np.random.Generator) -> bytes:
    """Leave out a stretch."""
    begin = place(len(data), random)
    return data[:begin] + data[begin + int(random.integers(1, 600)) :]


def repeat(data: bytes, random: np.random.Generator) -> bytes:
    begin = place(len(data), random)
    return data[:begin] + data[begin : begin + int(random.integers(1, 600))] + data[begin:]


def splice(data: bytes, random: np.random.Generator) -> bytes:
    """Join the beginning and the end at places that do not belong together."""
    return data[: place(len(data), random)] + data[place(len(data), random) :]


def insert(data: bytes, random: np.random.Generator) -> bytes:
    begin = place(len(data), random)
    return data[:begin] + random.bytes(int(random.integers(1, 40))) + data[begin:]


MUTATIONS: dict[str, Mutation] = {
    "flip": flip,
    "overwrite": overwrite,
    "truncate": truncate,
    "cut": cut,
    "repeat": repeat,
    "splice": splice,
    "insert": insert,
}
