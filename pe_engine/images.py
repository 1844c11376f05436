"""Pixels: any image as uint8 RGB of one size, contact sheets, PNG bytes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

_ORIENTATION = 0x0112  # the EXIF tag
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_GAP_GREY = 255


def to_uint8_rgb(image: Image.Image, size: int) -> np.ndarray:
    """The image as uint8 ``(size, size, 3)``, RGB.

    The EXIF orientation is applied, transparent parts become white, the largest square around the
    centre is cut out and resized with an antialiasing filter. That square resized is the same as
    the image resized by its short side and then cropped, but an image of 1 x 65,535 pixels never
    grows to size x (65,535 size). Pixels of an image that already has the size are not resampled.

    Grey values of more than 8 bits are scaled, never cut off at 255: whole numbers as 0..65,535
    and floating point as 0..1, or as 0..255 where any value exceeds 1. NaN is black.

    Raises:
        OSError, ValueError and the like: what Pillow raises for a damaged image.
    """
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    image = _rgb(image)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    if side != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
    elif width != height:
        image = image.crop(box)
    return np.asarray(image)


def _rgb(image: Image.Image) -> Image.Image:
    image.load()  # some formats know their mode and transparency only now
    if image.mode in _DEEP_MODES:
        image = _eight_bits(image)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, as mode L; its transparent value as white."""
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
        grey = np.clip(values * 255.0 if values.max() <= 1.0 else values, 0, 255).round()
    else:
        grey = (np.clip(values.astype(np.int64), 0, 65_535) + 128) // 257
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, 255, grey)
    return Image.fromarray(grey.astype(np.uint8))


def contact_sheet(
    images: np.ndarray, columns: int, scale: int = 1, gap: int = 1, background: int = _GAP_GREY
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
    """uint8 ``(H, W, 3)`` or ``(H, W)`` as a PNG without metadata; the same pixels, the same bytes.

    An image with R = G = B everywhere is stored as grey, a third of the size.
    """
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="PNG")
    return buffer.getvalue()
