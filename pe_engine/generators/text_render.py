"""Draws a class name or prompt in many fonts and shapes: the text simulator of Sim-PE.

Each image is a font and a vector of parameters, kept in the population's state, so that a
variation redraws from parameters and nothing is ever decoded. Images are drawn by sampling the
glyphs' distance fields (see ``glyphs``) on a warped grid, a whole batch at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pe_engine.generators.base import Card, Facts, Generator, State
from pe_engine.generators.glyphs import MARGIN, GlyphAtlas, font_files, tidy
from pe_engine.generators.options import check_options, option
from pe_engine.generators.states import consists_of

if TYPE_CHECKING:
    import torch

PIXELS_AT_ONCE = 512 * 28**2  # their coordinates still fit into a processor's cache
INKS = ("light", "dark")
FONTS = ("all", "handwriting", "print")
KNOTS = 4

# name -> (lowest, highest); the prior is uniform between them.
SHAPE = {
    "size": (0.55, 0.85),  # longer side of the ink, as a fraction of the image
    "stretch": (-0.25, 0.25),  # log2 of width over height
    "shear": (-0.3, 0.3),  # how far the top leans right, per unit of height
    "stroke": (0.06, 0.24),  # stroke width, as a fraction of a capital letter's height
    "softness": (0.8, 1.4),  # pixels over which ink fades into ground
    "right": (-0.06, 0.06),  # of the centre of mass, as a fraction of the image
    "down": (-0.06, 0.06),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``TextRender``."""

    ink: str = option("light", "light writing on dark ground, or dark on light", choices=INKS)
    fonts: str = option("all", "the fonts to draw with", choices=FONTS)
    rotation: float = option(15.0, "largest rotation either way, in degrees", low=0, high=180)
    wobble: float = option(
        0.08, "largest bend of the strokes, as a fraction of the image", low=0, high=0.2
    )

    def __post_init__(self) -> None:
        check_options(self)


class TextRender(Generator):
    """The text simulator. Its state: ``text`` (unicode), ``font`` (int64), ``params`` (float32).

    Args:
        image_size: height and width of the images in pixels.
        device: torch device to draw on.
        options: fields of ``Options``.

    Raises:
        ConfigError: an option is out of its range.
    """

    title: ClassVar[str] = "Text"
    summary: ClassVar[str] = "draws the class name or prompt as text, in 105 fonts and many shapes"
    facts: ClassVar[Facts] = Facts(
        needs="any CPU",
        sends="nothing",
        cost="seconds",
        degrees="chance of a new font, and reach of every parameter within its range",
        offline="yes",
    )
    card: ClassVar[Card] = Card(
        draws="the class name or the prompt as text, in 105 fonts",
        suggestions=("{class}", "0 1 2 3"),
    )
    Options: ClassVar[type] = Options
    grey = True

    def __init__(self, image_size: int, device: str, **options) -> None:
        self.options = Options(**options)
        self.image_size = image_size
        self.device = device
        self._rows = max(1, PIXELS_AT_ONCE // image_size**2)
        self.batch_size = min(4096, max(16, 8 * self._rows))
        self._basis = _basis(image_size, device)
        tile = min(max(48, image_size), 192)
        self.atlas = GlyphAtlas(font_files(self.options.fonts), tile, device)
        shape = {
            **SHAPE,
            "rotation": (-self.options.rotation, self.options.rotation),
            **{
                f"bend {i}": (-self.options.wobble, self.options.wobble)
                for i in range(2 * KNOTS**2)
            },
        }
        self.columns = {name: i for i, name in enumerate(shape)}
        self._low, self._high = np.array(list(shape.values()), np.float32).T

    @classmethod
    def fitting_size(cls, options: Options, asked: int | None) -> int:
        """Any size; 28 pixels, as in MNIST, if none is asked for."""
        return asked or 28

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """Drawings of the prompts, or else of the class names; see ``Generator.random``."""
        asked = [prompt.strip() or name for prompt, name in zip(prompts, class_names, strict=True)]
        tidied = {text: tidy(text) for text in dict.fromkeys(asked)}
        texts = np.array([tidied[text] for text in asked])
        return {
            "text": texts,
            "font": self._fonts(texts, rng),
            "params": rng.uniform(self._low, self._high, (len(texts), len(self._low))).astype(
                np.float32
            ),
        }

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """One variation of each image; see ``Generator.vary``.

        With probability ``degree`` an image gets a new font. Each parameter p is drawn uniformly
        from [p - degree * r, p + degree * r] within the prior's range, whose length is r.
        """
        texts, fonts, params = (state[name] for name in ("text", "font", "params"))
        redrawn = rng.random(len(fonts)) < degree
        fonts = np.where(redrawn, self._fonts(texts, rng), fonts)
        reach = degree * (self._high - self._low)
        low = np.maximum(params - reach, self._low)
        high = np.minimum(params + reach, self._high)
        params = low + rng.random(params.shape, np.float32) * (high - low)
        params = np.clip(params, low, high)  # rounding may overshoot by a bit
        return {"text": texts, "font": fonts, "params": params}

    def render(self, state: State, preview: bool = False) -> np.ndarray:
        """The drawings; a preview is no cheaper. See ``Generator.render``."""
        slots = self.atlas.slots(state["text"], state["font"])
        size = self.image_size
        grey = np.empty((len(slots), size, size), np.uint8)
        for start in range(0, len(slots), self._rows):
            rows = slice(start, start + self._rows)
            grey[rows] = self._render(slots[rows], state["params"][rows])
        # One grey plane seen as three equal channels: a view that costs no memory.
        return np.broadcast_to(grey[..., None], (len(grey), size, size, 3))

    def can_be(self, state: State) -> bool:
        """See ``Generator.can_be``."""
        shape = self._low.shape
        if not consists_of(state, text=("U", ()), font=("i", ()), params=("f", shape)):
            return False
        texts, fonts, params = (state[name] for name in ("text", "font", "params"))
        return bool(((params >= self._low) & (params <= self._high)).all()) and all(
            tidy(text) == text and np.isin(fonts[texts == text], self.atlas.fonts_for(text)).all()
            for text in np.unique(texts).tolist()
        )

    def _fonts(self, texts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A font for each text, int64 ``(N,)``, uniform over those that can draw it."""
        draws = rng.random(len(texts))
        fonts = np.empty(len(texts), np.int64)
        for text in np.unique(texts):
            rows = texts == text
            choice = self.atlas.fonts_for(str(text))
            fonts[rows] = choice[(draws[rows] * len(choice)).astype(np.int64)]
        return fonts

    def _render(self, slots: np.ndarray, params: np.ndarray) -> np.ndarray:
        """uint8 ``(n, H, W)``, each row from its own slot and parameters alone."""
        import torch
        from torch.nn.functional import grid_sample

        p = {name: params[:, i].astype(np.float64) for name, i in self.columns.items()}
        half_stroke, capital = self.atlas.strokes(slots).T
        distance = grid_sample(
            self.atlas.fields(slots),
            self._grid(self._warp(p, params)),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        ).squeeze(1)
        # Distances in pixels, shifted so that the stroke gets the width asked for.
        pixels = p["size"] * self.image_size / 2 / p["softness"]
        shift = (p["stroke"] * capital / 2 - half_stroke) * pixels + 0.5
        ink = distance.mul_(self._tensor(pixels)).add_(self._tensor(shift)).clamp_(0, 1)
        if self.options.ink == "dark":
            ink = 1 - ink
        return ink.mul_(255).round_().to(torch.uint8).cpu().numpy()

    def _warp(self, p: Mapping[str, np.ndarray], params: np.ndarray) -> np.ndarray:
        """The map from pixels to tile coordinates in terms of ``_basis``, ``(n, 2, 3 + KNOTS^2)``.

        A point g of the glyph is drawn at the image point q in [-1, 1]^2 for which
        q - offset + bend(q) = size * R(rotation) * Shear * diag(2^(stretch/2), 2^(-stretch/2)) * g,
        so that g is linear in 1, x, y and the basis functions of the bend.
        """
        angle = np.deg2rad(p["rotation"])
        cos, sin = np.cos(angle), np.sin(angle)
        wide = 2.0 ** (p["stretch"] / 2)
        shape = np.empty((len(angle), 2, 2))
        shape[:, 0, 0] = cos * wide
        shape[:, 0, 1] = (-cos * p["shear"] - sin) / wide
        shape[:, 1, 0] = sin * wide
        shape[:, 1, 1] = (-sin * p["shear"] + cos) / wide
        inverse = np.linalg.inv(shape * (p["size"] * MARGIN)[:, None, None])
        image = np.zeros((len(angle), 2, 3 + KNOTS**2))
        image[:, 0, 0] = -2 * p["right"]
        image[:, 1, 0] = -2 * p["down"]
        image[:, 0, 1] = image[:, 1, 2] = 1
        image[:, :, 3:] = 2 * params[:, self.columns["bend 0"] :].reshape(-1, 2, KNOTS**2)
        return inverse[:, :, :1] * image[:, :1] + inverse[:, :, 1:] * image[:, 1:]

    def _grid(self, warp: np.ndarray) -> torch.Tensor:
        """Where each pixel looks into its tile, float32 ``(n, H, W, 2)``, in [-1, 1] inside it."""
        import torch

        # Products of matrices of one size round alike, however many rows there are to draw.
        padded = np.zeros((self._rows, *warp.shape[1:]), np.float32)
        padded[: len(warp)] = warp
        flat = torch.from_numpy(padded).to(self.device).flatten(0, 1) @ self._basis
        size = self.image_size
        return flat.view(-1, 2, size, size)[: len(warp)].permute(0, 2, 3, 1)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        """One number per row, float32 ``(n, 1, 1)`` on the device."""
        import torch

        return torch.from_numpy(values.astype(np.float32)).to(self.device)[:, None, None]


def _basis(size: int, device: str) -> torch.Tensor:
    """1, x, y and one bicubic bump per knot at every pixel, float32 ``(3 + KNOTS^2, H * W)``."""
    import torch

    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bumps = torch.nn.functional.interpolate(
        torch.eye(KNOTS**2).reshape(-1, 1, KNOTS, KNOTS),
        (size, size),
        mode="bicubic",
        align_corners=True,
    )
    planes = torch.stack([torch.ones_like(x), x, y, *bumps.squeeze(1)])
    return planes.flatten(1).to(device)
