"""Texts in the bundled fonts, as signed distance fields on the torch device.

A distance field says for every point how far inside (positive) or outside (negative) the ink it
lies. Unlike a picture of the text it can be sampled after any warp and thresholded at any level,
so that one small tile per font and text serves every size, slant and stroke width.

Glyph coordinates: the longer side of the ink spans [-1, 1] and its centre of mass is at 0, as in
MNIST; a tile covers [-MARGIN, MARGIN].
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pe_engine.errors import GeneratorError

if TYPE_CHECKING:
    import torch

FONT_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "fonts"
MAX_TEXT = 32
MARGIN = 1.5
NOT_A_CHARACTER = "\uffff"  # Unicode keeps it unassigned, so every font draws its "missing" box.


def font_files(kinds: str) -> list[Path]:
    """The bundled fonts of ``kinds``, "all", "handwriting" or "print", in a fixed order."""
    files = sorted(FONT_FOLDER.glob("*.woff2"))
    handwriting = [f for f in files if f.name.startswith("handwriting-")]
    return {
        "all": files,
        "handwriting": handwriting,
        "print": [f for f in files if f not in handwriting],
    }[kinds]


def tidy(text: str) -> str:
    """``text`` with composed accents and single spaces.

    Raises:
        GeneratorError: nothing is left of it, or more than ``MAX_TEXT`` characters.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if not text:
        raise GeneratorError(
            "There is no text to draw: the images have neither a class name nor a prompt. "
            "Give a prompt."
        )
    if len(text) > MAX_TEXT:
        raise GeneratorError(
            f"The text {text[:MAX_TEXT]!r}... has {len(text)} characters, but at most {MAX_TEXT} "
            "fit into an image. Give a shorter prompt."
        )
    return text


def wrap(text: str) -> list[str]:
    """``text`` broken at spaces into the lines that fill a square best."""
    layouts = [
        textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        for width in range(1, len(text) + 1)
    ]
    return min(layouts, key=_side)


def _side(lines: Sequence[str]) -> float:
    """About how many font sizes the longer side of ``lines`` measures."""
    return max(0.55 * max(map(len, lines)), 1.1 * len(lines))


@dataclass(frozen=True)
class Face:
    """A font at one size: the bitmap of its missing glyph, and heights of letters in pixels."""

    font: ImageFont.FreeTypeFont
    missing: bytes
    capital: float
    x_height: float

    @staticmethod
    def of(font: ImageFont.FreeTypeFont) -> Face:
        (_, top, _, bottom), (_, x_top, _, x_bottom) = font.getbbox("H"), font.getbbox("x")
        return Face(font, bytes(font.getmask(NOT_A_CHARACTER)), bottom - top, x_bottom - x_top)


class GlyphAtlas:
    """Distance fields of (font, text) pairs, each drawn once, when it is first asked for.

    Args:
        files: the fonts; a font id is an index into them.
        tile: height and width of a distance field in pixels.
        device: the torch device that keeps the fields.
    """

    def __init__(self, files: Sequence[Path], tile: int, device: str) -> None:
        import torch

        self.files = tuple(files)
        self.tile = tile
        # An opened font holds about 100 KiB, so only as many as two sizes of each need stay open.
        self._face = lru_cache(maxsize=2 * len(self.files))(self._open)
        self._fitting: dict[str, np.ndarray] = {}
        self._slots: dict[tuple[str, int], int] = {}
        self._fields = torch.empty((0, tile, tile), dtype=torch.float16, device=device)
        self._strokes = np.empty((0, 2))

    def fonts_for(self, text: str) -> np.ndarray:
        """Ids (int64, increasing) of the fonts that hold every character of ``text``.

        Raises:
            GeneratorError: no font does; it names the character.
        """
        if text not in self._fitting:
            characters = sorted(set(text.replace(" ", "")))
            fonts = range(len(self.files))
            holds = np.array([[self._has(f, c) for c in characters] for f in fonts])
            if not holds.all(1).any():
                rarest = characters[int(holds.sum(0).argmin())]
                raise GeneratorError(
                    f"No bundled font can draw the text {text!r}, because of the character "
                    f"{rarest!r} (U+{ord(rarest):04X}). Give a prompt in Latin letters, digits "
                    "and signs."
                )
            self._fitting[text] = np.flatnonzero(holds.all(1))
        return self._fitting[text]

    def slots(self, texts: np.ndarray, fonts: np.ndarray) -> np.ndarray:
        """Where the fields of the pairs ``(texts[i], fonts[i])`` lie, int64 ``(N,)``.

        Pairs seen for the first time are drawn now.
        """
        names, codes = np.unique(texts, return_inverse=True)
        pairs, inverse = np.unique(codes * len(self.files) + fonts, return_inverse=True)
        keys = [(str(names[p // len(self.files)]), int(p % len(self.files))) for p in pairs]
        self._draw([key for key in keys if key not in self._slots])
        return np.array([self._slots[key] for key in keys])[inverse]

    def fields(self, slots: np.ndarray) -> torch.Tensor:
        """Signed distances in glyph coordinates, float32 ``(N, 1, tile, tile)``."""
        import torch

        index = torch.from_numpy(slots).to(self._fields.device)
        return self._fields[index].float().unsqueeze(1)

    def strokes(self, slots: np.ndarray) -> np.ndarray:
        """Per pair half the stroke's width and the height of a capital letter, both in glyph
        coordinates, float64 ``(N, 2)``."""
        return self._strokes[slots]

    def _draw(self, keys: Sequence[tuple[str, int]]) -> None:
        import torch

        used = len(self._slots)
        if used + len(keys) > len(self._fields):
            room = max(used + len(keys), 2 * used)
            grown = self._fields.new_empty((room, self.tile, self.tile))
            grown[:used] = self._fields[:used]
            self._fields = grown
        strokes = []
        for slot, (text, font) in enumerate(keys, start=used):
            lines = wrap(text)
            face = self._face(font, self._font_size(lines))
            field, stroke = distance_field(face, lines, self.tile)
            self._fields[slot] = torch.from_numpy(field)
            self._slots[text, font] = slot
            strokes.append(stroke)
        self._strokes = np.concatenate([self._strokes, np.reshape(strokes, (-1, 2))])

    def _has(self, font: int, character: str) -> bool:
        """Whether the font draws ``character``: some ink, and not the box for missing glyphs."""
        face = self._face(font, self._font_size([character]))
        mask = face.font.getmask(character)
        return mask.getbbox() is not None and bytes(mask) != face.missing

    def _font_size(self, lines: Sequence[str]) -> int:
        """Pixels, such that the drawing is finer than a tile and at least some 50 pixels long."""
        return round(2 * max(self.tile, 72) / MARGIN / max(_side(lines), 1.4))

    def _open(self, font: int, size: int) -> Face:
        # The basic layout is the same on every machine; the other one is not always there.
        return Face.of(
            ImageFont.truetype(str(self.files[font]), size, layout_engine=ImageFont.Layout.BASIC)
        )


def distance_field(
    face: Face, lines: Sequence[str], tile: int
) -> tuple[np.ndarray, tuple[float, float]]:
    """The field of ``lines``, float32 ``(tile, tile)``, and its row of ``GlyphAtlas.strokes``.

    Half the stroke's width h is twice the mean distance of the ink from its border, which is
    exact for a stroke of constant width, where that distance is uniform in [0, h].
    """
    from scipy.ndimage import distance_transform_edt

    ink = _centred_ink(face, lines)
    side = len(ink)
    inside, outside = distance_transform_edt(ink), distance_transform_edt(~ink)
    distance = np.where(ink, inside - 0.5, 0.5 - outside) * (2 * MARGIN / side)
    field = Image.fromarray(distance.astype(np.float32)).resize(
        (tile, tile), Image.Resampling.BILINEAR
    )
    capital = min(2.0, face.capital * 2 * MARGIN / side)
    return np.array(field), (2 * float(distance[ink].mean()), capital)


def _centred_ink(face: Face, lines: Sequence[str]) -> np.ndarray:
    """Whether each pixel holds ink, bool ``(side, side)``, scaled and centred as described above.

    The ink counts as at least as long as an "x" is high, so that a full stop stays a dot.
    """
    text, font = "\n".join(lines), face.font
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font)
    canvas = Image.new("L", (int(right - left) + 3, int(bottom - top) + 3))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), text, 255, font, align="center")
    rows, columns = np.nonzero(np.asarray(canvas) > 127)
    longest = max(np.ptp(rows) + 1, np.ptp(columns) + 1, face.x_height)
    side = round(MARGIN * longest)
    square = np.zeros((side, side), bool)
    for axis in (rows, columns):
        middle = (axis.max() + axis.min()) / 2
        centre = np.clip(axis.mean(), middle - 0.2 * longest, middle + 0.2 * longest)
        axis += round((side - 1) / 2 - centre)
    square[rows, columns] = True
    return square
