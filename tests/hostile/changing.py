"""Changes to sound files at random."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)

Change = Callable[[bytearray, np.random.Generator], None]


def _flip(data: bytearray, rng: np.random.Generator) -> None:
    for at in rng.integers(0, len(data), rng.integers(1, 9)):
        data[at] ^= 1 << int(rng.integers(8))


def _flip_head(data: bytearray, rng: np.random.Generator) -> None:
    for at in rng.integers(0, min(len(data), 128), rng.integers(1, 5)):
        data[at] = int(rng.integers(256))


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(1, len(data) + 1)) :]


def _splice(data: bytearray, rng: np.random.Generator) -> None:
    start, stop = sorted(int(at) for at in rng.integers(0, len(data) + 1, 2))
    to = int(rng.integers(len(data)))
    data[to : to + stop - start] = data[start:stop]


def _duplicate(data: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(data)))
    stop = start + int(rng.integers(1, 200))
    data[stop:stop] = data[start:stop] * int(rng.integers(1, 50))


def _extreme(data: bytearray, rng: np.random.Generator) -> None:
    """A number of 2 or 4 bytes, such as a length, becomes one at the edge of what there is."""
    width = int(rng.choice((2, 4)))
    value = int(rng.choice(_EXTREMES)) & (256**width - 1)
    order = "little" if rng.integers(2) else "big"
    at = int(rng.integers(max(1, min(len(data), 400) - width)))
    data[at : at + width] = value.to_bytes(width, order)


def _erase(data: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(data)))
    del data[start : start + int(rng.integers(1, 40))]


CHANGES: tuple[Change, ...] = (_flip, _flip_head, _cut, _splice, _duplicate, _extreme, _erase)


def changed(whole: bytes, rng: np.random.Generator, most: int = 3) -> bytes:
    """One to ``most`` changes of any kind; in half of all PNG the checksums are right again, since
    else hardly any change would get past them."""
    data = bytearray(whole)
    for which in rng.integers(len(CHANGES), size=rng.integers(1, most + 1)):
        if data:
            CHANGES[which](data, rng)
    if rng.integers(2) and data.startswith(b"\x89PNG"):
        _mend(data)
    return bytes(data)


def _mend(data: bytearray) -> None:
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
