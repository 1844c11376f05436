"""One cartoon face from its parameters: python_avatars composes it, resvg draws it."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import python_avatars as parts
from PIL import Image
from resvg import render, usvg

# Which text stands on a shirt, and in which font, would differ between computers.
_GRAPHICS = [one for one in parts.ClothingGraphic if one is not parts.ClothingGraphic.CUSTOM_TEXT]

CHOICES = {
    "style": tuple(parts.AvatarStyle),
    "background_color": tuple(parts.BackgroundColor),
    "top": (*parts.HairType, *parts.HatType),
    "hat_color": tuple(parts.ClothingColor),
    "eyebrows": tuple(parts.EyebrowType),
    "eyes": tuple(parts.EyeType),
    "nose": tuple(parts.NoseType),
    "mouth": tuple(parts.MouthType),
    "facial_hair": tuple(parts.FacialHairType),
    "skin_color": tuple(parts.SkinColor),
    "hair_color": tuple(parts.HairColor),
    "facial_hair_color": tuple(parts.HairColor),
    "accessory": tuple(parts.AccessoryType),
    "clothing": tuple(parts.ClothingType),
    "clothing_color": tuple(parts.ClothingColor),
    "shirt_graphic": tuple(_GRAPHICS),
}
"""What each of the P = 16 parameters of a face may be, in the library's order."""

VIEWS = {"face": "40 40 184 184", "whole": "-8 0 280 280"}
"""Left, top, width and height of what is seen of the 264 x 280 picture; a square."""

_CANVAS = 'width="264px" height="280px" viewBox="0 0 264 280"'
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

# Smaller pictures are drawn several times as large and averaged: where two shapes share an edge, a
# line of the ground shines through, and it is the stronger the fewer pixels there are. At 64 pixels
# this takes the mean error from 1.4 grey values to 0.6; it takes 2 ms more.
_DRAWN_PIXELS = 128


def draw(params: np.ndarray, size: int, view: str, background: str) -> np.ndarray:
    """The pictures of some faces, each from its own row alone.

    Args:
        params: int64 ``(N, P)``, places in ``CHOICES``.
        size: S, height and width in pixels.
        view: one of ``VIEWS``.
        background: "white" or "black", where nothing is drawn.

    Returns:
        uint8 ``(N, S, S, 3)``.
    """
    enlarged = -(-_DRAWN_PIXELS // size)
    ground = (255, 255, 255, 255) if background == "white" else (0, 0, 0, 255)
    picture = partial(_picture, pixels=size * enlarged, view=VIEWS[view], ground=ground)
    images = np.empty((len(params), size, size, 3), np.uint8)
    for i, row in enumerate(params):
        images[i] = picture(row).reduce(enlarged)
    return images


def _picture(
    row: np.ndarray, pixels: int, view: str, ground: tuple[int, int, int, int]
) -> Image.Image:
    """One face, ``pixels`` wide and high, RGB."""
    chosen = {name: choices[i] for (name, choices), i in zip(CHOICES.items(), row, strict=True)}
    svg = parts.Avatar(**chosen).render()
    # An empty fill is invalid, so that the element inherits one; resvg would make it black.
    svg = svg.replace(' fill=""', "")
    svg = svg.replace(_CANVAS, f'width="{pixels}px" height="{pixels}px" viewBox="{view}"', 1)
    tree = usvg.Tree.from_str(svg, usvg.Options.default())  # has no fonts, on any computer
    return Image.open(io.BytesIO(render(tree, _IDENTITY, bg_color=ground))).convert("RGB")
