"""What may be read of private files, and the files of a folder (``zips`` has those of a zip).

No link is followed, and only plain files inside the folder are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pe_engine.decoding import UnreadableError
from pe_engine.errors import DataError

_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
NOT_PLAIN = "is a link or a device, not a plain file"


@dataclass(frozen=True)
class Limits:
    """What is refused.

    Attributes:
        pixels: of one image; a larger one is skipped.
        members: files in the folder or zip, and folders; more of either is a DataError.
        zip_ratio: unpacked over packed size of a zip's member; a larger one is skipped.
        file_bytes: of one file; a larger one is skipped.
    """

    pixels: int = 25_000_000
    members: int = 1_000_000
    zip_ratio: int = 100
    file_bytes: int = 100_000_000


LOCAL_LIMITS = Limits()
"""For an app on its owner's machine."""

SHARED_LIMITS = Limits(members=50_000)
"""For an app that strangers can reach."""


@dataclass(frozen=True)
class Skipped:
    """A file that is not used. Only the owner of the data may see it.

    Attributes:
        name: path inside the folder or zip.
        reason: continues the sentence "The file ...", without a full stop.
    """

    name: str
    reason: str


class Read(Protocol):
    """Reads one file; may be called from any thread."""

    def __call__(self, name: str, size: int = -1) -> bytes:
        """The file's bytes, or its first ``size``; raises ``UnreadableError``."""


class FolderSource:
    """The files of a folder and of all folders inside it.

    Attributes:
        names: path of each plain file, parts joined by "/", in no particular order.
        folders: path of each folder inside, also of those without files.
        skipped: what cannot be read.

    Raises:
        DataError: more files than ``limits.members``.
    """

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self.names: list[str] = []
        self.folders: set[str] = set()
        self.skipped: list[Skipped] = []
        pending = [""]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(root / folder) as entries:
                    pending.extend(self._list(folder, entries))
            except OSError:
                self.skipped.append(Skipped(folder or ".", "is a folder that cannot be opened"))

    def _list(self, folder: str, entries: Iterator[os.DirEntry]) -> list[str]:
        """Take in the entries of one folder; the folders among them."""
        inside = []
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if is_junk([entry.name]):
                continue
            if not _is_utf8(name):
                shown = name.encode("utf-8", "replace").decode()
                self.skipped.append(Skipped(shown, "has a name that is not UTF-8"))
            elif entry.is_dir(follow_symlinks=False) and not _is_junction(entry):
                inside.append(name)
                self.folders.add(name)
            elif entry.is_file(follow_symlinks=False):
                self.names.append(name)
            else:
                self.skipped.append(Skipped(name, NOT_PLAIN))
            check_members(len(self.names) + len(self.skipped), self._limits)
            check_members(len(self.folders), self._limits)
        return inside

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """The function that reads these files, while the context is open."""
        yield self._read

    def size(self, name: str) -> int:
        """Bytes of a file; 0 where it is gone."""
        try:
            return (self._root / name).lstat().st_size
        except OSError:
            return 0

    def _read(self, name: str, size: int = -1) -> bytes:
        try:
            with open(self._root / name, "rb", opener=_open_plain) as file:
                most = self._limits.file_bytes
                if os.fstat(file.fileno()).st_size > most:
                    raise UnreadableError(too_large(self._limits))
                data = file.read(most + 1 if size < 0 else size)  # it may grow meanwhile
                if len(data) > most:
                    raise UnreadableError(too_large(self._limits))
                return data
        except (OSError, ValueError) as error:
            raise UnreadableError("cannot be opened") from error


def _open_plain(path: str, flags: int) -> int:
    """An opener that neither follows a link nor waits at a pipe that took a file's place."""
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | safe)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a plain file")
    return descriptor


def is_junk(parts: list[str]) -> bool:
    return any(part.startswith(".") or part.lower() in _JUNK for part in parts)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_junction(entry: os.DirEntry) -> bool:
    """Windows' other kind of link; Python tells it apart from 3.12 on."""
    return getattr(entry, "is_junction", bool)()


def too_large(limits: Limits) -> str:
    return f"has more than {limits.file_bytes / 1e6:,.0f} MB"


def check_members(count: int, limits: Limits) -> None:
    if count > limits.members:
        raise too_many(limits)


def too_many(limits: Limits) -> DataError:
    return DataError(
        f"There are more than {limits.members:,} files in it, which is the limit here. "
        "Choose a smaller set."
    )
