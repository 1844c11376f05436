"""Arrays of an npz file that nobody vouches for, read with a bound."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pe_engine.zips import CappedFile, TooLongError

MOST_BYTES = 4 * 2**30
"""Of one array."""

_MOST_LIST_BYTES = 2**20
_HEADER_BYTES = 10_240  # numpy writes some 120 and reads 10,000 at most
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    SyntaxError,
    tokenize.TokenError,  # of a header whose brackets do not close
    RuntimeError,  # encrypted, an unknown way of packing, a header nested too deep
    MemoryError,
    AttributeError,
    Warning,
    TooLongError,
)


class BadArrayError(Exception):
    """The file holds no such array, or is damaged."""


def array_header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array that an npz file calls so, without reading it.

    Raises:
        BadArrayError: there is none; or it has objects, more than ``MOST_BYTES``, or another number
            of bytes than its header promises.
    """
    with _members(path) as (archive, infos):
        if name not in infos:
            raise BadArrayError
        return _header(archive, infos[name])


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Those of the named arrays that an npz file holds, or all; nothing is ever unpickled.

    Raises:
        BadArrayError: as ``array_header``, for any of them.
    """
    with _members(path) as (archive, infos):
        return {
            name: _array(archive, info)
            for name, info in infos.items()
            if names is None or name in names
        }


@contextmanager
def _members(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    try:
        with CappedFile(path) as file:
            file.cap = _MOST_LIST_BYTES
            with zipfile.ZipFile(file) as archive:
                infos = {
                    info.filename.removesuffix(".npy"): info
                    for info in archive.infolist()
                    if info.filename.endswith(".npy")
                }
                file.cap = MOST_BYTES
                yield archive, infos
    except _DAMAGE as error:
        raise BadArrayError from error


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    if info.compress_type not in _METHODS:  # Python cannot bound the others' output
        raise BadArrayError
    with archive.open(info) as member:
        head = io.BytesIO(member.read(_HEADER_BYTES))
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(head)](head)
    size = math.prod(shape) * dtype.itemsize
    sound = not dtype.hasobject and dtype.itemsize > 0 and min(shape, default=0) >= 0
    if not sound or size > MOST_BYTES or info.file_size != head.tell() + size:
        raise BadArrayError
    return shape, dtype


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    _header(archive, info)
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # to the end, where the checksum is looked at
            raise BadArrayError
    return array
