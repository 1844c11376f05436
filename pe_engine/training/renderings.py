"""Pictures of characters in the bundled fonts: public data to train and to judge with.

The fonts are parted in two: the miniature learns from one part, its judge from the other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pe_engine.generators.base import State
from pe_engine.generators.glyphs import GlyphAtlas, font_files
from pe_engine.generators.miniature import CHARACTERS
from pe_engine.generators.text_render import TextRender
from pe_engine.training.captions import Look

SIZE = 32
DARK_SHARE = 0.15

# Scripts whose capitals readers of other fonts can hardly name; only the judge learns them.
ORNATE = (
    "italianno", "licorice", "ms-madi", "oooh-baby", "parisienne", "sacramento", "twinkle-star",
    "whisper",
)  # fmt: skip


def split_fonts() -> tuple[list[Path], list[Path]]:
    """The fonts that the miniature learns from, and those that it never sees."""
    ornate = [f for f in font_files("all") if any(name in f.name for name in ORNATE)]
    plain = [f for f in font_files("all") if f not in ornate]
    unseen = plain[2::3]
    return [f for f in plain if f not in unseen], unseen + ornate


class Renderings:
    """Draws random characters in random fonts of ``fonts`` and shapes.

    Args:
        fonts: the font files to draw with.
        seed: of all draws.
    """

    def __init__(self, fonts: list[Path], seed: int) -> None:
        self._render = TextRender(SIZE, "cpu", rotation=12.0, wobble=0.06)
        self._render.atlas = GlyphAtlas(fonts, 48, "cpu")
        self._kinds = [f.name.partition("-")[0] for f in fonts]
        self._rng = np.random.default_rng(seed)

    def draw(self, n: int, characters: str = CHARACTERS) -> tuple[np.ndarray, list[Look]]:
        """Light on dark or dark on light, uint8 ``(n, 32, 32)``, and what each shows."""
        names = np.array(list(characters))[self._rng.integers(len(characters), size=n)]
        grey = np.empty((n, SIZE, SIZE), np.uint8)
        looks: list[Look | None] = [None] * n
        for character in np.unique(names):
            rows = np.flatnonzero(names == character)
            drawn = self._render.random([str(character)] * len(rows), [""] * len(rows), self._rng)
            grey[rows] = self._render.render(drawn)[..., 0]
            for row, font, shape in zip(rows, drawn["font"], self._shapes(drawn), strict=True):
                dark = self._rng.random() < DARK_SHARE
                looks[row] = Look(str(character), self._kinds[font], *shape, dark)
                if dark:
                    grey[row] = 255 - grey[row]
        return grey, looks

    def _shapes(self, drawn: State) -> list[tuple[float, float]]:
        """Stroke and lean of each drawing."""
        params, columns = drawn["params"], self._render.columns
        lean = params[:, columns["shear"]] - np.tan(np.deg2rad(params[:, columns["rotation"]]))
        return list(zip(params[:, columns["stroke"]].tolist(), lean.tolist(), strict=True))
