"""The bytes of one untrusted file -> pixels, or the reason why not."""

from __future__ import annotations

import io
import struct
import zlib

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
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)


class UnreadableError(Exception):
    """This file cannot be used; the message continues the sentence "The file ..."."""


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
        UnreadableError: no image, damaged, or more than ``max_pixels`` pixels, which is found
            from its header before any pixel is decoded.
    """
    if not data:
        raise UnreadableError("is empty")
    reader = image_reader(data[:HEAD_BYTES])
    if reader is None:
        raise UnreadableError(f"is not a {FORMATS} image")
    try:
        image = reader(io.BytesIO(data))
        width, height = image.size
        if width * height <= max_pixels:
            # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; twice what is needed is enough.
            image.draft(None, (2 * size, 2 * size))
            return to_uint8(image, size)
    except _DAMAGE as error:
        raise UnreadableError("is damaged or incomplete") from error
    raise UnreadableError(
        f"has {width:,} x {height:,} pixels, more than the {max_pixels:,} allowed"
    )
