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
from typing import BinaryIO

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


def read_row(path: Path, name: str, row: int) -> np.ndarray:
    """One row of the array that an npz file calls so, ``shape[1:]``; only its bytes are read where
    the array is stored unpacked and in rows.

    Raises:
        BadArrayError: as ``array_header``; or there is no such row.
    """
    with _members(path) as (archive, infos):
        if name not in infos:
            raise BadArrayError
        shape, dtype, in_columns, start = _layout(archive, infos[name])
        if not shape or not 0 <= row < shape[0]:
            raise BadArrayError
        if in_columns or infos[name].compress_type != zipfile.ZIP_STORED:
            return _array(archive, infos[name])[row]
        size = math.prod(shape[1:]) * dtype.itemsize
        with path.open("rb") as file:
            file.seek(_content(file, infos[name]) + start + row * size)
            content = file.read(size)
        return np.frombuffer(content, dtype).reshape(shape[1:])


def _content(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind its local header (APPNOTE.TXT, section 4.3.7)."""
    file.seek(info.header_offset + 26)
    return info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))


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
    shape, dtype, _, _ = _layout(archive, info)
    return shape, dtype


def _layout(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """Shape, type, whether columns lie together, and how many bytes come before the first value."""
    if info.compress_type not in _METHODS:  # Python cannot bound the others' output
        raise BadArrayError
    with archive.open(info) as member:
        head = io.BytesIO(member.read(_HEADER_BYTES))
    shape, in_columns, dtype = _HEADERS[np.lib.format.read_magic(head)](head)
    size = math.prod(shape) * dtype.itemsize
    sound = not dtype.hasobject and dtype.itemsize > 0 and min(shape, default=0) >= 0
    if not sound or size > MOST_BYTES or info.file_size != head.tell() + size:
        raise BadArrayError
    return shape, dtype, in_columns, head.tell()


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    _header(archive, info)
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # to the end, where the checksum is looked at
            raise BadArrayError
    return array
