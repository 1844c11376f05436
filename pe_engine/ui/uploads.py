"""Private images on their way in: one zip per upload, in a folder only the owner can read.

A dropped folder arrives as many small files. They go, uncompressed, into one zip in the order they
come, so that 100,000 images are one file on disk and one file to delete. A dropped zip arrives in
pieces and is kept as it is.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pe_engine.errors import DataError
from pe_engine.ownership import NOBODY, read_owner, write_owner
from pe_engine.ui.caps import Caps
from pe_engine.ui.frames import read_frames

MAX_BATCH_BYTES = 32 * 2**20
MIN_FREE_BYTES = 512 * 2**20
STALE_SECONDS = 24 * 3600

_TOKEN = re.compile(r"[0-9a-f]{32}")
_OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class NoUpload(DataError):
    """There is no such upload for whoever asks."""

    def __init__(self) -> None:
        super().__init__(
            "The uploaded images are not here any more: they are deleted once a run has read "
            "them. Drop them again."
        )


@dataclass
class _Upload:
    """Attributes:
    touched: when it was last used or first seen, on a clock that only goes forward.
    """

    path: Path
    owner: str
    touched: float
    finished: bool = False
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    archive: zipfile.ZipFile | None = None
    stream: BinaryIO | None = None
    names: set[str] = field(default_factory=set)
    batches: int = 0

    def close(self) -> None:
        for writer in (self.archive, self.stream):
            if writer is not None:
                writer.close()


class Uploads:
    """The uploads of one server, in ``home/uploads/<token>/upload.zip``.

    A token is 32 hex characters of the operating system's entropy. Only the owner, who began it,
    can add to, use or remove an upload; for anybody else there is none. Safe to call from several
    threads.
    """

    def __init__(
        self, home: Path, caps: Caps | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock``: seconds that no change of the system's time moves."""
        self.folder = home / "uploads"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.caps = caps or Caps()
        self._clock = clock
        self._lock = threading.RLock()  # guards the next
        self._known: dict[str, _Upload] = {}
        self._remove_left_behind()

    def begin(self, owner: str) -> str:
        """Start an upload and return its token. What was left behind long ago is deleted first.

        Args:
            owner: hash of an identity; see ``ui/identity.py``.

        Raises:
            DataError: there are too many already.
        """
        self.remove_stale()
        token = secrets.token_hex(16)
        folder = self.folder / token
        with self._lock:
            if sum(known.owner == owner for known in self._known.values()) >= self.caps.of_one:
                raise DataError(
                    f"You have {self.caps.of_one} uploads here that no run has used, the most this "
                    "server takes. Remove one, or start a run with it."
                )
            if len(self._known) >= self.caps.in_all:
                raise DataError("This server holds too many uploads. Try again in an hour.")
            self._known[token] = _Upload(folder / "upload.zip", owner, self._clock())
        folder.mkdir(mode=0o700)
        write_owner(folder, owner)
        return token

    def add_files(self, owner: str, token: str, body: bytes, batch: int | None = None) -> int:
        """Append the files framed in ``body`` and return how many the upload now holds.

        A batch that is here already, since only the answer was lost, is not taken again.

        Args:
            owner, token: as of ``begin``.
            body: per file: name length (uint16, little-endian), data length (uint32), the name
                (UTF-8, relative, '/' between folders), the data.
            batch: 0, 1, 2, ... of those sent; None where nothing is ever sent again.

        Raises:
            DataError: a batch out of order, a broken frame, an unsafe name, or more than the server
                takes.
        """
        upload = self._get(owner, token)
        with upload.lock:
            _check_open(upload)
            if upload.stream is not None:
                raise DataError("This upload is a zip already. Start a new upload for files.")
            if batch is not None and batch < upload.batches:
                return len(upload.names)
            if batch is not None and batch > upload.batches:
                raise DataError("A part of the upload is missing. Drop the images again.")
            if upload.archive is None:
                _create(upload.path)
                upload.archive = zipfile.ZipFile(upload.path, "w")
            for name, data in read_frames(body):
                self._check_room(upload, len(data), 1)
                if name in upload.names:
                    raise DataError("Two files have the same name and folder. Rename one of them.")
                info = zipfile.ZipInfo(name, _OLDEST_ZIP_DATE)
                info.external_attr = 0o600 << 16
                upload.archive.writestr(info, data)
                upload.names.add(name)
                upload.size += len(data)
            upload.batches += 1
            return len(upload.names)

    def add_zip_piece(self, owner: str, token: str, offset: int, piece: bytes) -> int:
        """Append a piece of a zip that starts at byte ``offset``; return the bytes now held.

        Raises:
            DataError: a piece out of order, or more than the server takes.
        """
        upload = self._get(owner, token)
        with upload.lock:
            _check_open(upload)
            if upload.archive is not None:
                raise DataError("This upload holds files already. Start a new upload for a zip.")
            if 0 < len(piece) == upload.size - offset:  # only the answer was lost
                return upload.size
            if offset != upload.size:
                raise DataError(
                    f"A piece of the zip starts at byte {offset}, but {upload.size} bytes are "
                    "here. Drop the zip again."
                )
            self._check_room(upload, len(piece), 0)
            if upload.stream is None:
                _create(upload.path)
                upload.stream = upload.path.open("wb")
            upload.stream.write(piece)
            upload.size += len(piece)
            return upload.size

    def finish(self, owner: str, token: str) -> None:
        """Close the upload; from now on ``path`` answers. One that is closed already stays so.

        Raises:
            DataError: nothing was sent, or the zip cannot be read.
        """
        upload = self._get(owner, token)
        with upload.lock:
            upload.close()
            upload.finished = True
        if not upload.path.is_file() or not zipfile.is_zipfile(upload.path):
            self.remove(owner, token)
            raise DataError("This is not a zip that can be read. Drop a folder, images or a zip.")

    def path(self, owner: str, token: str) -> Path:
        """The finished upload's zip.

        Raises:
            NoUpload: there is no such upload (any more).
        """
        upload = self._get(owner, token)
        if not upload.finished or not upload.path.is_file():
            raise NoUpload
        return upload.path

    def remove(self, owner: str, token: str) -> None:
        """Delete an upload, finished or not. One that is not there is no error."""
        with suppress(NoUpload), self._lock:
            upload = self._get(owner, token)
            del self._known[token]
            _delete(upload)

    def remove_stale(self, older_than: float = STALE_SECONDS) -> int:
        """Delete uploads, finished or not, that nobody used for ``older_than`` seconds.

        Returns:
            how many.
        """
        limit = self._clock() - older_than
        with self._lock:
            tokens = [token for token, known in self._known.items() if known.touched < limit]
            stale = [self._known.pop(token) for token in tokens]
        for upload in stale:
            _delete(upload)
        return len(stale)

    def _get(self, owner: str, token: str) -> _Upload:
        """Raises NoUpload, for another's as for one that there is not."""
        with self._lock:
            upload = self._known.get(token)
            if upload is None or not owner or upload.owner != owner:
                raise NoUpload
            upload.touched = self._clock()
            return upload

    def _remove_left_behind(self) -> None:
        """Take over what an earlier server took; what is old by the system's time is deleted.

        That time may be wrong, but no page of this server knows of these uploads yet. One that was
        not finished is nobody's.
        """
        for folder in self.folder.iterdir():
            if not _TOKEN.fullmatch(folder.name):
                continue
            path = folder / "upload.zip"
            if _last_change(folder) < time.time() - STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            finished = path.is_file() and zipfile.is_zipfile(path)
            size = path.stat().st_size if finished else 0
            owner = (finished and read_owner(folder)) or NOBODY
            self._known[folder.name] = _Upload(path, owner, self._clock(), finished, size)

    def _check_room(self, upload: _Upload, size: int, files: int) -> None:
        if upload.size + size > self.caps.bytes:
            raise DataError(
                f"The upload is larger than {self.caps.bytes / 2**30:g} GiB, the most this server "
                "takes. Drop fewer images."
            )
        if len(upload.names) + files > self.caps.files:
            raise DataError(
                f"The upload holds more than {self.caps.files:,} files, the most this server "
                "takes. Drop fewer images."
            )
        with self._lock:
            held = sum(u.size for u in self._known.values() if u.owner == upload.owner)
        if held + size > self.caps.bytes_of_one:
            raise DataError(
                f"Your uploads are larger than {self.caps.bytes_of_one / 2**30:g} GiB together, "
                "the most this server takes. Remove one, or start a run with it."
            )
        if shutil.disk_usage(self.folder).free < MIN_FREE_BYTES + size:
            raise DataError("The server's disk is almost full. Free some space and try again.")


def _check_open(upload: _Upload) -> None:
    if upload.finished:
        raise DataError("This upload has ended. Drop the images again.")


def _delete(upload: _Upload) -> None:
    with upload.lock:
        upload.finished = True  # who waited for the lock adds nothing
        upload.close()
    shutil.rmtree(upload.path.parent, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """When something was last added, in seconds since 1970; 0 where it is gone already."""
    times = []
    for path in (folder, folder / "upload.zip"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)


def _create(path: Path) -> None:
    path.touch(mode=0o600)
