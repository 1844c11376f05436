"""In which form images leave, as their owner wishes."""

from __future__ import annotations

from dataclasses import dataclass

from pe_engine.errors import ConfigError

FORMATS = ("png", "jpeg", "webp")
LAYOUTS = ("classes", "flat")
SIZES = (8, 2048)
QUALITIES = (1, 100)
ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}


@dataclass(frozen=True)
class Choice:
    """How the images of a release are written; ``Choice()`` is what ``synthetic.zip`` holds.

    Attributes:
        generation: whose images, 0..T; None for the newest.
        format: "png", "jpeg" or "webp".
        quality: of JPEG and WebP, 1..100; WebP of 100 loses nothing. PNG never loses anything.
        size: height and width in pixels, 8..2048; None as they were made.
        layout: "classes" for a folder per class, or "flat".
    """

    generation: int | None = None
    format: str = "png"
    quality: int = 90
    size: int | None = None
    layout: str = "classes"

    def __post_init__(self) -> None:
        """Raises:
        ConfigError: a value is out of its range.
        """
        if self.format not in FORMATS:
            raise ConfigError(f"Images can be written as {', '.join(FORMATS)}. Choose one of them.")
        if self.layout not in LAYOUTS:
            raise ConfigError(f"The layout can be {' or '.join(LAYOUTS)}. Choose one of them.")
        _check_within("quality", self.quality, QUALITIES)
        if self.size is not None:
            _check_within("size in pixels", self.size, SIZES)
        if self.generation is not None and self.generation < 0:
            raise ConfigError("Generations are counted from 0. Choose one that is finished.")

    @property
    def ending(self) -> str:
        """Of the names of image files, without the dot."""
        return ENDINGS[self.format]


def _check_within(what: str, value: int, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise ConfigError(f"The {what} is {value}, but must be from {low} to {high}. Change it.")
