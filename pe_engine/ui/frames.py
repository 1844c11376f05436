"""How files travel in the body of one request."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import PurePosixPath

from pe_engine.errors import DataError

MAX_NAME_BYTES = 1024
_HEADER = struct.Struct("<HI")  # name length, data length


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
