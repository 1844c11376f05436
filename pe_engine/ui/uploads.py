"""Private images on their way in: one zip per upload, in a folder only the owner can read.

A dropped folder arrives as many small files. They go, uncompressed, into one zip in the order they
come, so that 100,000 images are one file on disk and one file to delete. A dropped zip arrives in
pieces and is kept as it is.
"""

from __future__ import annotations

import math
import re
import secrets
import shutil
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pe_engine.data import LOCAL_LIMITS
from pe_engine.errors import DataError

MAX_BYTES = 64 * 2**30
MAX_BATCH_BYTES = 32 * 2**20
MAX_NAME_BYTES = 1024
MIN_FREE_BYTES = 512 * 2**20
STALE_SECONDS = 24 * 3600

_TOKEN = re.compile(r"[0-9a-f]{32}")
_HEADER = struct.Struct("<HI")  # name length, data length
_OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass
class _Upload:
    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    archive: zipfile.ZipFile | None = None
    stream: BinaryIO | None = None
    names: set[str] = field(default_factory=set)
    size: int = 0

    def close(self) -> None:
        for writer in (self.archive, self.stream):
            if writer is not None:
                writer.close()


class Uploads:
    """The uploads of one server, in ``home/uploads/<token>/upload.zip``.

    A token is 32 hex characters of the operating system's entropy and is all that is needed to
    add to, use or remove an upload. Safe to call from several threads.
    """

    def __init__(
        self, home: Path, *, max_files: int = LOCAL_LIMITS.members, max_bytes: int = MAX_BYTES
    ) -> None:
        self.folder = home / "uploads"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.max_files = max_files
        self.max_bytes = max_bytes
        self._open: dict[str, _Upload] = {}

    def begin(self) -> str:
        """Start an upload and return its token. What was left behind long ago is deleted first."""
        self.remove_stale()
        token = secrets.token_hex(16)
        folder = self.folder / token
        folder.mkdir(mode=0o700)
        self._open[token] = _Upload(folder / "upload.zip")
        return token

    def add_files(self, token: str, body: bytes) -> int:
        """Append the files framed in ``body`` and return how many the upload now holds.

        Args:
            token: from ``begin``.
            body: per file: name length (uint16, little-endian), data length (uint32), the name
                (UTF-8, relative, '/' between folders), the data.

        Raises:
            DataError: a broken frame, an unsafe name, or more than the server takes.
        """
        upload = self._get(token)
        with upload.lock:
            if upload.stream is not None:
                raise DataError("This upload is a zip already. Start a new upload for files.")
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
            return len(upload.names)

    def add_zip_piece(self, token: str, offset: int, piece: bytes) -> int:
        """Append a piece of a zip that starts at byte ``offset``; return the bytes now held.

        Raises:
            DataError: a piece out of order, or more than the server takes.
        """
        upload = self._get(token)
        with upload.lock:
            if upload.archive is not None:
                raise DataError("This upload holds files already. Start a new upload for a zip.")
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

    def finish(self, token: str) -> None:
        """Close the upload; from now on ``path`` answers.

        Raises:
            DataError: nothing was sent, or the zip cannot be read.
        """
        upload = self._get(token)
        with upload.lock:
            upload.close()
            self._open.pop(token, None)
        if not upload.path.is_file() or not zipfile.is_zipfile(upload.path):
            self.remove(token)
            raise DataError("This is not a zip that can be read. Drop a folder, images or a zip.")

    def path(self, token: str) -> Path:
        """The finished upload's zip.

        Raises:
            DataError: there is no such upload (any more).
        """
        path = self.folder / _checked(token) / "upload.zip"
        if token in self._open or not path.is_file():
            raise DataError(
                "The uploaded images are not here any more: they are deleted once a run has read "
                "them. Drop them again."
            )
        return path

    def remove(self, token: str) -> None:
        """Delete an upload, finished or not. One that is not there is no error."""
        upload = self._open.pop(_checked(token), None)
        if upload is not None:
            with upload.lock:
                upload.close()
        shutil.rmtree(self.folder / token, ignore_errors=True)

    def remove_stale(self, older_than: float = STALE_SECONDS) -> int:
        """Delete uploads, finished or not, to which nothing was added for ``older_than`` seconds.

        Returns:
            how many.
        """
        limit = time.time() - older_than
        tokens = [folder.name for folder in self.folder.iterdir() if _TOKEN.fullmatch(folder.name)]
        stale = [token for token in tokens if _last_change(self.folder / token) < limit]
        for token in stale:
            self.remove(token)
        return len(stale)

    def _get(self, token: str) -> _Upload:
        upload = self._open.get(_checked(token))
        if upload is None:
            raise DataError("This upload has ended. Drop the images again.")
        return upload

    def _check_room(self, upload: _Upload, size: int, files: int) -> None:
        if upload.size + size > self.max_bytes:
            raise DataError(
                f"The upload is larger than {self.max_bytes / 2**30:g} GiB, the most this server "
                "takes. Drop fewer images."
            )
        if len(upload.names) + files > self.max_files:
            raise DataError(
                f"The upload holds more than {self.max_files:,} files, the most this server takes. "
                "Drop fewer images."
            )
        if shutil.disk_usage(self.folder).free < MIN_FREE_BYTES + size:
            raise DataError("The server's disk is almost full. Free some space and try again.")


def read_frames(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The (name, data) pairs framed in ``body``, as ``Uploads.add_files`` describes.

    Raises:
        DataError: the frame is cut short, or a name is not a safe relative path.
    """
    position = 0
    while position < len(body):
        if position + _HEADER.size > len(body):
            raise DataError("A file arrived incomplete. Drop the images again.")
        name_length, data_length = _HEADER.unpack_from(body, position)
        start = position + _HEADER.size + name_length
        end = start + data_length
        if end > len(body):
            raise DataError("A file arrived incomplete. Drop the images again.")
        yield _safe_name(body[start - name_length : start]), body[start:end]
        position = end


def _safe_name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError("A file name is not valid UTF-8. Rename the file.") from error
    parts = PurePosixPath(name).parts
    control = any(ord(character) < 32 for character in name)
    if (
        not parts
        or control
        or "\\" in name
        or name.startswith("/")
        or ":" in parts[0]
        or ".." in parts
        or len(raw) > MAX_NAME_BYTES
    ):
        raise DataError("A file name is not a plain relative path. Rename the file.")
    return "/".join(parts)


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise DataError("This is not an upload of this server. Drop the images again.")
    return token


def _last_change(folder: Path) -> float:
    """When something was last added, in seconds since 1970; infinity where it is gone already."""
    times = []
    for path in (folder, folder / "upload.zip"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times, default=math.inf)


def _create(path: Path) -> None:
    path.touch(mode=0o600)
