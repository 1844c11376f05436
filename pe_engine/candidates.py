"""The folder or zip that somebody chose, and which of its files may be images."""

from __future__ import annotations

import os
import zipfile
from contextlib import nullcontext
from pathlib import Path

from pe_engine.decoding import FORMATS, HEAD_BYTES, UnreadableError, image_reader
from pe_engine.errors import DataError
from pe_engine.sources import FolderSource, Limits, Skipped
from pe_engine.zips import ZipSource

_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def open_source(path: Path, limits: Limits) -> FolderSource | ZipSource:
    """The files of a folder or zip.

    Raises:
        DataError: it is neither, or cannot be opened.
    """
    try:
        if path.is_dir():
            os.scandir(path).close()
            return FolderSource(path, limits)
        if not path.exists():
            raise DataError("There is no such folder or zip. Choose a folder of images or a zip.")
        head = _head(path)
    except (OSError, ValueError) as error:
        raise DataError(
            "The chosen folder or zip cannot be opened. Check that you are allowed to read it."
        ) from error
    if image_reader(head) is not None:
        raise DataError("This is a single image. Choose the folder it lies in, or a zip of images.")
    if head and zipfile.is_zipfile(path):
        return ZipSource(path, limits)
    if head.startswith(b"PK"):
        raise DataError("The zip is damaged or incomplete. Make or copy it again.")
    raise DataError("This is neither a folder nor a zip. Choose a folder of images or a zip.")


def _head(path: Path) -> bytes:
    """The first bytes of a plain file; none of anything else, such as a pipe."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def candidates(files: FolderSource | ZipSource) -> tuple[list[str], list[Skipped]]:
    """The sorted names of what may be an image, and what is none.

    A file with the extension of an image is believed until it is decoded; of others, the first
    bytes are looked at now, so that a stray text file neither counts nor confuses the classes.
    """
    names = [name for name in files.names if name.lower().endswith(_EXTENSIONS)]
    others = sorted(set(files.names).difference(names))
    skipped = []
    with files.reader() if others else nullcontext() as read:
        for name in others:
            try:
                known = image_reader(read(name, HEAD_BYTES)) is not None
                reason = f"is not a {FORMATS} image"
            except UnreadableError as error:
                known, reason = False, str(error)
            if known:
                names.append(name)
            else:
                skipped.append(Skipped(name, reason))
    return sorted(names), skipped
