"""The files in a ``.tar.gz``, read one after another; nothing is ever extracted."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pe_engine.datasets.words import amount
from pe_engine.errors import DataError

MAX_FILE = 64 * 2**20
MAX_FILES = 1_000_000
_BESIDE_FILES = 2**20  # headers before a file, and zeros after the last one


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name, parts joined by "/", and content of each plain file.

    Only the end of the iteration proves, by the checksum of gzip, that all of it was intact.

    Raises:
        DataError: the archive is damaged or incomplete, or holds what an archive of images never
            does: links, devices, unsafe paths, files of more than 64 MiB.
    """
    try:
        with archive.open("rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
            source = _Bounded(unpacked)
            with tarfile.open(fileobj=source, mode="r|") as tar:
                yield from _members(tar, source)
            while source.read(2**16):
                pass  # to the end, where the checksum is
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError("The archive is damaged or incomplete. Fetch it again.") from error


def _members(tar: tarfile.TarFile, source: _Bounded) -> Iterator[tuple[str, bytes]]:
    count = 0
    while (member := tar.next()) is not None:
        count += 1
        reason = _refusal(member)
        if count > MAX_FILES:
            reason = f"holds more than {MAX_FILES:,} files"
        if reason:
            raise _refused(reason)
        source.left = member.size + _BESIDE_FILES
        if member.isreg():
            name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            yield name, tar.extractfile(member).read()
        tar.members.clear()  # tarfile would keep what it says of every file


def _refusal(member: tarfile.TarInfo) -> str | None:
    """Why an archive with this member is not read; None when it is."""
    if not (member.isreg() or member.isdir()) or member.issparse():
        return "holds a link, a device or a file with holes"
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or "\\" in member.name or ":" in parts[0]:
        return "holds a file with an unsafe path"
    if not 0 <= member.size <= MAX_FILE:
        return f"holds a file of {amount(member.size)}, more than the {amount(MAX_FILE)} allowed"
    return None


def _refused(reason: str) -> DataError:
    return DataError(
        f"The archive {reason}, which the published one does not. Fetch it again from where it "
        "is published."
    )


class _Bounded:
    """Reads no more than ``left`` bytes, however much a few packed ones unpack to."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.left = _BESIDE_FILES

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise _refused("unpacks to more than it says")
        return data
