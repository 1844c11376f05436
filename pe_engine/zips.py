"""The members of a zip that nobody vouches for, listed and read; nothing is ever extracted."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pe_engine.decoding import UnreadableError
from pe_engine.errors import DataError
from pe_engine.sources import (
    NOT_PLAIN,
    Limits,
    Read,
    Skipped,
    check_members,
    is_junk,
    too_large,
    too_many,
)

_MAX_DEPTH = 100  # folders above a file; a name of 64 kB could hold 32,000
_UNSAFE = (
    "has an unsafe path (absolute, too deep, or with '..', a drive letter or a backslash); "
    "zip the folder again"
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python cannot bound the others' output
_DAMAGED = "The zip is damaged or incomplete. Make or copy it again."
_CHANGED = "The zip has changed or gone since it was opened. Choose it again."
_ENTRY_BYTES = 512  # of a zip's list of members, on average; an ordinary entry has about 100
_STRING_BYTES = 100  # of memory, for any string in a set
_ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
)


class ZipSource:
    """The members of a zip; same attributes as ``FolderSource``.

    Raises:
        DataError: not a zip that can be read, more members than ``limits.members``, folders with
            such names that they would fill the memory, or members that overlap.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self.folders: set[str] = set()
        self.skipped: list[Skipped] = []
        self._room = limits.members * _ENTRY_BYTES  # for folders: one name can hold a hundred
        for info in _members(path, limits):
            self._list(info)
            check_members(len(self._infos) + len(self.skipped), limits)
        _check_apart(self._infos.values(), path)
        self.names = list(self._infos)

    def _list(self, info: zipfile.ZipInfo) -> None:
        raw = info.orig_filename  # ``filename`` is what zipfile made of it
        if _is_unsafe(raw):
            self.skipped.append(Skipped(raw, _UNSAFE))
            return
        parts = [part for part in raw.split("/") if part not in ("", ".")]
        if not parts or is_junk(parts):
            return
        is_folder = raw.endswith("/")
        depth = len(parts) if is_folder else len(parts) - 1
        for i in range(depth):
            self._add_folder("/".join(parts[: i + 1]))
        if is_folder:
            return
        name = "/".join(parts)
        reason = _refusal(info, self._limits)
        if reason is None and name in self._infos:
            reason = "has the same name as an earlier file in the zip"
        if reason is None:
            self._infos[name] = info
        else:
            self.skipped.append(Skipped(name, reason))

    def _add_folder(self, name: str) -> None:
        if name not in self.folders:
            self.folders.add(name)
            self._room -= len(name) + _STRING_BYTES
            if self._room < 0:
                raise too_many(self._limits)

    def size(self, name: str) -> int:
        """Bytes of a member as the zip declares them, unpacked."""
        return self._infos[name].file_size

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """The function that reads these members, while the context is open."""
        with _opened(self._path, self._limits, _CHANGED) as archive:

            def read(name: str, size: int = -1) -> bytes:
                info = self._infos[name]
                try:
                    with archive.open(info) as member:
                        # One more than declared: reading to the end checks size and checksum, and
                        # a number bounds what is unpacked, which "all" would not.
                        return member.read(info.file_size + 1 if size < 0 else size)
                except _ZIP_DAMAGE as error:
                    raise UnreadableError("is damaged inside the zip") from error

            yield read


class CappedFile(io.FileIO):
    """Refuses a read longer than ``cap`` bytes.

    ``zipfile`` reads the list of members whole, and makes an object of each, before anyone can
    count them; a hostile zip of 2 GB can list 40 million.
    """

    cap: int = 0

    def read(self, size: int = -1) -> bytes:
        if size > self.cap:
            raise TooLongError
        return super().read(size)


class TooLongError(Exception):
    """More than ``cap`` bytes were asked for at once."""


@contextmanager
def _opened(path: Path, limits: Limits, otherwise: str) -> Iterator[zipfile.ZipFile]:
    """The zip, whose list has been read with a bound.

    Raises:
        DataError: it says ``otherwise`` where there is no sound zip.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(CappedFile(path))
            file.cap = limits.members * _ENTRY_BYTES + 65_536
            archive = stack.enter_context(zipfile.ZipFile(file))
        except TooLongError as error:
            raise too_many(limits) from error
        except _ZIP_DAMAGE as error:
            raise DataError(otherwise) from error
        file.cap = limits.file_bytes
        yield archive


def _members(path: Path, limits: Limits) -> list[zipfile.ZipInfo]:
    with _opened(path, limits, _DAMAGED) as archive:
        return archive.infolist()


def _check_apart(infos: Iterable[zipfile.ZipInfo], path: Path) -> None:
    """Raises DataError where members share bytes, by which a small zip could unpack to anything."""
    if sum(info.compress_size for info in infos) > path.stat().st_size:
        raise DataError(
            "The files in the zip overlap, as in no zip that a program has packed. Zip the images "
            "again."
        )


def _refusal(info: zipfile.ZipInfo, limits: Limits) -> str | None:
    """Why this member is not even opened; None when it is."""
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the zip was not made on Unix
    if kind not in (0, stat.S_IFREG):
        return NOT_PLAIN
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return "is packed by an unusual method; zip it with the usual one (deflate)"
    if info.file_size > limits.file_bytes:
        return too_large(limits)
    if info.file_size > limits.zip_ratio * max(info.compress_size, 1):
        return f"unpacks to more than {limits.zip_ratio} times its size"
    return None


def _is_unsafe(name: str) -> bool:
    return (
        name.startswith("/")
        or "\\" in name
        or "\0" in name
        or re.match("[A-Za-z]:", name) is not None
        or ".." in name.split("/")
        or name.count("/") > _MAX_DEPTH
    )
