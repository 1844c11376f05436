"""Pixels: any image as uint8 RGB of one size, contact sheets, PNG bytes."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

# Measured on 10,000 28 x 28 handwritten digits: level 3 takes 0.5 s and 4.70 MB; 6 takes 0.65 s for
# the same size and 9 takes 1.5 s for 1.5 % less.
PNG_LEVEL = 3
_ORIENTATION = 0x0112  # the EXIF tag, and what undoes each of its values
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa")
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")


def to_uint8(image: Image.Image, size: int) -> np.ndarray:
    """The image as uint8 ``(size, size, 3)``, RGB, or ``(size, size, 1)`` if it is plainly grey.

    The array is not writable.

    The EXIF orientation is applied, transparent parts become white, the short side is resized to
    ``size`` with an antialiasing filter and the centre is kept. Only the centre is ever computed,
    so an image of 1 x 65,535 pixels does not grow to size x (65,535 size). Pixels of an image
    whose short side has the size are not resampled.

    Grey values of more than 8 bits are scaled, never cut off at 255: whole numbers as 0..65,535
    and floating point as 0..1, or as 0..255 where any value exceeds 1. NaN and infinity are black.

    Raises:
        OSError, ValueError and the like: what Pillow raises for a damaged image.
    """
    image.load()  # some formats know their mode, transparency and orientation only now
    if (turn := _UPRIGHT.get(_orientation(image))) is not None:
        image = image.transpose(turn)
    if image.mode in _DEEP_MODES:
        image = _eight_bits(image)
    see_through = image.mode in _ALPHA_MODES or "transparency" in image.info
    if image.mode == "L" and not see_through:  # three channels would take three times as long
        return np.asarray(_square(image, size))[..., None]
    mode = "RGBA" if see_through else "RGB"
    image = _square(image if image.mode == mode else image.convert(mode), size)
    if see_through:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image).convert("RGB")
    return np.asarray(image)


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and not image.info:  # most small ones; spares a search in each
        return 1
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, LookupError, EOFError, OSError, struct.error):
        return 1  # a camera's broken notes are no reason to lose its image


def _square(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    if side != size:
        return image.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return image if width == height else image.crop(box)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, as mode L; its transparent value as white."""
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        grey = np.clip(values * 255.0 if values.max() <= 1.0 else values, 0, 255).round()
    else:
        grey = (np.clip(values.astype(np.int64), 0, 65_535) + 128) // 257
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, 255, grey)
    return Image.fromarray(grey.astype(np.uint8))


def contact_sheet(
    images: np.ndarray, columns: int, scale: int = 1, gap: int = 1, background: int = 255
) -> np.ndarray:
    """All images side by side, row by row.

    Args:
        images: uint8 ``(N, H, W, 3)``, N >= 1.
        columns: images per row, >= 1; fewer images than that make a narrower sheet.
        scale: each pixel becomes scale x scale pixels.
        gap: pixels between images and around them, not scaled.
        background: grey value 0..255 of the gaps and of cells without an image.

    Returns:
        uint8 ``(rows * (scale * H + gap) + gap, columns * (scale * W + gap) + gap, 3)``.
    """
    n, height, width, _ = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    cell_height, cell_width = scale * height + gap, scale * width + gap
    shape = (rows * cell_height + gap, columns * cell_width + gap, 3)
    sheet = np.full(shape, background, np.uint8)
    for i, image in enumerate(images):
        top = gap + i // columns * cell_height
        left = gap + i % columns * cell_width
        enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + scale * height, left : left + scale * width] = enlarged
    return sheet


def png_bytes(image: np.ndarray) -> bytes:
    """uint8 ``(H, W, 3)`` or grey ``(H, W, 1)`` as a PNG without metadata."""
    grey = image.shape[-1] == 1
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if grey else image))
    picture.save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()
