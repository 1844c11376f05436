"""What is known of OpenAI's image models: the sizes that they make, and list prices.

Sizes are those of the openai package (3.54) and of OpenAI's guide to image generation; prices those
of OpenAI's pages on each model, as of November 2026. Prices change: the option ``price`` says what
holds.
"""

from __future__ import annotations

import math
import re

from pe_engine.errors import ConfigError

ADDRESS = "https://api.openai.com/v1"

RETIRED = ("dall-e-2", "dall-e-3", "gpt-image-1")
"""No longer served by OpenAI; by others they may be."""

_STANDARD = ("1024x1024", "1536x1024", "1024x1536")
_SIZES = {
    "dall-e-2": ("256x256", "512x512", "1024x1024"),
    "dall-e-3": ("1024x1024", "1792x1024", "1024x1792"),
}

# Of the free sizes of GPT Image 2 and 2.5, in pixels.
_STEP, _LONGEST, _RATIO = 16, 3840, 3
_LEAST, _MOST = 655_360, 8_294_400

# model -> quality -> US dollars for 1024 x 1024, and for the two other standard sizes. Only what is
# made: what is sent, a prompt and perhaps an image, is charged for in tokens besides.
_PRICES = {
    "gpt-image-1-mini": {
        "low": (0.005, 0.006),
        "medium": (0.011, 0.015),
        "high": (0.036, 0.052),
    },
    "gpt-image-1.5": {
        "low": (0.009, 0.013),
        "medium": (0.034, 0.050),
        "high": (0.133, 0.200),
    },
}


def is_gpt_image(model: str) -> bool:
    """Whether it is one of the GPT Image models, which have a quality and always answer with
    base64."""
    return model.startswith(("gpt-image", "chatgpt-image"))


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        ConfigError: it is no size.
    """
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text, re.ASCII):
        raise ConfigError(f"The option size is {text!r}, but must be like 1024x1024, or auto.")
    width, _, height = text.partition("x")
    return int(width), int(height)


def check_size(model: str, size: str) -> None:
    """Raises ConfigError if the model is known not to make images of this size."""
    width, height = parse_size(size)
    known = _sizes(model)
    if known and size not in known:
        raise ConfigError(
            f"The option size is {size}, but {model} makes {', '.join(known)}. Choose one of them."
        )
    short, long = sorted((width, height))
    if _is_free(model) and (
        width % _STEP
        or height % _STEP
        or long > min(_LONGEST, _RATIO * short)
        or not _LEAST <= width * height <= _MOST
    ):
        raise ConfigError(
            f"The option size is {size}, but {model} makes images of {_LEAST:,} to {_MOST:,} "
            f"pixels with sides that are multiples of {_STEP}, at most {_LONGEST}, and at most "
            f"{_RATIO} times as long as each other."
        )


def smallest_size(model: str, side: int) -> str:
    """The smallest square that the model makes whose side is at least ``side`` pixels.

    Raises:
        ConfigError: there is none.
    """
    if _is_free(model):
        least, most = math.ceil(math.sqrt(_LEAST)), math.isqrt(_MOST)
        fitting = range(math.ceil(max(least, side) / _STEP) * _STEP, most + 1, _STEP)
    else:
        # others' models: those of DALL-E 2 are what servers in its place know, and they can be free
        known = _sizes(model) or (*_SIZES["dall-e-2"], f"{max(side, 1024)}x{max(side, 1024)}")
        widths = sorted(w for w, h in map(parse_size, known) if w == h)
        fitting, most = [w for w in widths if w >= side], widths[-1]
    if not fitting:
        raise ConfigError(
            f"The image size is {side}, but {model} makes squares of at most {most} pixels. Ask "
            "for smaller images."
        )
    return f"{fitting[0]}x{fitting[0]}"


def list_price(model: str, quality: str, size: str) -> float | None:
    """US dollars that OpenAI's list says for one image; None where that is not known here."""
    prices = _PRICES.get(model, {}).get(quality)
    return None if prices is None or size not in _STANDARD else prices[size != _STANDARD[0]]


def _is_free(model: str) -> bool:
    return re.match(r"gpt-image-2(\.5|-|$)", model) is not None


def _sizes(model: str) -> tuple[str, ...]:
    """All sizes of a model; none where they are free or not known."""
    if is_gpt_image(model) and not _is_free(model):
        return _STANDARD
    return _SIZES.get(model, ())
