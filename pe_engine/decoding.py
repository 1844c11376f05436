"""The bytes of one untrusted file -> pixels, or the reason why not."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pe_engine.images import to_uint8

FORMATS = "PNG, JPEG, WebP, GIF, BMP or TIFF"
HEAD_BYTES = 16
"""How much of a file ``image_reader`` looks at."""

TINY_BYTES = 8192
"""Files up to this size may be decoded without a process of their own."""

_TINY_PIXELS = 65_536
_PLAIN = (PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile)

_READERS = (
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"II+\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", TiffImagePlugin.TiffImageFile),
)

# What Pillow's readers raise on damaged bytes. Warning is here for processes that turn warnings
# into errors.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)


class UnreadableError(Exception):
    """This file cannot be used; the message continues the sentence "The file ..."."""


class DamagedError(UnreadableError):
    """It is an image, but its reader stumbled over it; another copy may be sound."""


def image_reader(head: bytes) -> type | None:
    """Pillow's reader for a file that starts with these bytes; None when it is no image.

    The file's name is not asked: content decides. A reader is called directly, not through
    ``Image.open``, because that one warns about large images before their size can be asked.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    return next((reader for magic, reader in _READERS if head.startswith(magic)), None)


def decode(data: bytes, size: int, max_pixels: int) -> np.ndarray:
    """The (first) image in ``data`` as uint8 pixels; see ``images.to_uint8``.

    Raises:
        UnreadableError: no image, more than ``max_pixels`` pixels, which is found from its header
            before any pixel is decoded, or more memory needed than there is.
        DamagedError: the image is damaged.
    """
    with _reasons():
        return _pixels(_opened(_reader(data), data, max_pixels), size)


def decode_tiny(data: bytes, size: int, max_pixels: int) -> np.ndarray | None:
    """The same, where neither time nor memory can be much: else None.

    A file of n bytes and m pixels cannot keep the readers of PNG and JPEG busy for more than n * m
    steps or so (a JPEG may paint all of its pixels again every 10 bytes), nor can it take more than
    the 8 MB that 8 kB of packed bytes may hold. Other formats have headers that ask for memory.

    Raises:
        UnreadableError, DamagedError: as ``decode``.
    """
    if len(data) > TINY_BYTES:
        return None
    reader = _reader(data)
    if reader not in _PLAIN:
        return None
    with _reasons():
        try:
            image = _opened(reader, data, max_pixels)
            width, height = image.size
            return None if width * height > _TINY_PIXELS else _pixels(image, size)
        except Warning:  # raised or not as this process is set up; others are all set up alike
            return None


def measure(data: bytes, max_pixels: int) -> tuple[int, int]:
    """Width and height of the (first) image in ``data``, in pixels, from its header alone.

    Raises:
        UnreadableError, DamagedError: as ``decode``.
    """
    with _reasons():
        return _opened(_reader(data), data, max_pixels).size


def measure_tiny(data: bytes, max_pixels: int) -> tuple[int, int] | None:
    """The same of what may be opened without a process of its own; else None. See ``decode_tiny``.

    Raises:
        UnreadableError, DamagedError: as ``decode``.
    """
    reader = _reader(data)
    if len(data) > TINY_BYTES or reader not in _PLAIN:
        return None
    with _reasons():
        try:
            return _opened(reader, data, max_pixels).size
        except Warning:
            return None


def _reader(data: bytes) -> type:
    if not data:
        raise UnreadableError("is empty")
    reader = image_reader(data[:HEAD_BYTES])
    if reader is None:
        raise UnreadableError(f"is not a {FORMATS} image")
    return reader


def _opened(reader: type, data: bytes, max_pixels: int) -> Image.Image:
    """Its header has been read."""
    if reader is WebPImagePlugin.WebPImageFile:  # takes the memory for its pixels when opened
        _check_size(_webp_size(data), max_pixels)
    image = reader(io.BytesIO(data))
    _check_size(image.size, max_pixels)
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise UnreadableError(
            f"has {width:,} x {height:,} pixels, more than the {max_pixels:,} allowed"
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height as the first chunk tells them (RFC 9649, sections 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    bits = int.from_bytes(data[26:30], "little")
    return bits & 0x3FFF, bits >> 16 & 0x3FFF


def _pixels(image: Image.Image, size: int) -> np.ndarray:
    # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; twice what is needed is enough.
    image.draft(None, (2 * size, 2 * size))
    return to_uint8(image, size)


@contextmanager
def _reasons() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise UnreadableError("needs more memory than there is to decode it") from error
    except _DAMAGE as error:
        raise DamagedError("is damaged or incomplete") from error
