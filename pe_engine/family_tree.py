"""The family of one synthetic image as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pe_engine.images import PNG_LEVEL

TILE, GAP, EDGE = 84, 8, 20  # pixels
LABEL_HEIGHT, LABEL_SIZE = 24, 15
COLUMNS = 7
PAPER, INK, LINE, MARK = "#ffffff", "#1e2433", "#c3cad9", "#4f46e5"


@dataclass(frozen=True)
class Line:
    """One generation of the picture.

    Attributes:
        label: what stands above it.
        images: uint8 ``(H, W, 3)`` or ``(H, W, 1)`` each, at least one.
        marked: the one in the line of descent, which gets a frame; None where there is none.
    """

    label: str
    images: Sequence[np.ndarray]
    marked: int | None


def family_picture(lines: Sequence[Line]) -> bytes:
    """A PNG with one line below the other, a stroke leading from each to the next.

    Args:
        lines: at least one; the oldest generation first.
    """
    rows = [-(-len(line.images) // COLUMNS) for line in lines]
    heights = [LABEL_HEIGHT + n * (TILE + GAP) + EDGE for n in rows]
    columns = max(min(len(line.images), COLUMNS) for line in lines)
    width = max(2 * EDGE + columns * (TILE + GAP) - GAP, 420)
    picture = Image.new("RGB", (width, EDGE + sum(heights)), PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(LABEL_SIZE)
    top = EDGE
    for i, (line, height) in enumerate(zip(lines, heights, strict=True)):
        middle = EDGE + TILE // 2
        if i + 1 < len(lines):
            draw.line((middle, top + LABEL_HEIGHT, middle, top + height), LINE, 2)
        draw.text((EDGE, top), line.label, INK, font)
        for j, image in enumerate(line.images):
            place = (
                EDGE + j % COLUMNS * (TILE + GAP),
                top + LABEL_HEIGHT + j // COLUMNS * (TILE + GAP),
            )
            picture.paste(_tile(image), place)
            if j == line.marked:
                x, y = place
                draw.rectangle((x - 3, y - 3, x + TILE + 2, y + TILE + 2), None, MARK, 3)
        top += height
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def _tile(image: np.ndarray) -> Image.Image:
    """Small images keep their pixels apart, as on the page."""
    shape = (*image.shape[:2], 3)
    picture = Image.fromarray(np.ascontiguousarray(np.broadcast_to(image, shape)))
    how = Image.Resampling.NEAREST if len(image) < TILE else Image.Resampling.LANCZOS
    return picture.resize((TILE, TILE), how)
