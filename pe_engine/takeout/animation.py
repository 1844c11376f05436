"""The evolution as one small moving picture: a contact sheet per generation, with its ε."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pe_engine.boundary import GenerationRecord, Outgoing
from pe_engine.errors import ConfigError
from pe_engine.statement import up

KINDS = ("gif", "webp")
MOST_BYTES = 2_000_000
WIDTHS = (720, 600, 480, 380, 300, 230)  # pixels, from the best on
FRAME_MS, LAST_MS = 900, 3200
BAR = 34  # pixels; the caption's height
FONT = Path(__file__).parents[2] / "assets" / "report" / "inter-bold.ttf"
PAPER, INK, TRACK = (255, 255, 255), (30, 36, 51), (213, 218, 230)


def evolution(run: Outgoing, kind: str = "gif") -> bytes:
    """An animation of the generations that have a contact sheet, at most 12, the last one longest.

    It is as large as 2 MB allow, and at most 720 pixels wide.

    Args:
        kind: "gif" or "webp".

    Raises:
        ConfigError: another kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"The evolution can be had as {' or '.join(KINDS)}. Choose one of them.")
    shown = [record for record in run.records if record.sheet is not None]
    planned = run.settings["iterations"]
    for width in WIDTHS:
        made = _encoded([_frame(record, planned, width) for record in shown], kind)
        if len(made) <= MOST_BYTES:
            break
    return made


def caption(record: GenerationRecord, planned: int) -> str:
    """What stands below the images of a generation."""
    where = f"Generation {record.generation} of {planned}"
    return f"{where}, ε = {up(record.epsilon_spent, 3)}" if record.epsilon_spent else where


def _frame(record: GenerationRecord, planned: int, width: int) -> Image.Image:
    """The sheet, about ``width`` pixels wide, over a caption and a line that grows."""
    assert record.sheet is not None
    sheet = _scaled(record.sheet, width)
    frame = Image.new("RGB", (sheet.width, sheet.height + BAR), PAPER)
    frame.paste(sheet)
    draw = ImageDraw.Draw(frame)
    draw.rectangle((0, sheet.height, frame.width, sheet.height + 2), fill=TRACK)
    done = round(frame.width * record.generation / max(planned, 1))
    draw.rectangle((0, sheet.height, done, sheet.height + 2), fill=INK)
    text = caption(record, planned)
    middle = (frame.width / 2, sheet.height + 3 + (BAR - 3) / 2)
    size = next(s for s in (16, 14, 12, 10, 8) if _font(s).getlength(text) < width - 8 or s == 8)
    draw.text(middle, text, INK, font=_font(size), anchor="mm")
    return frame


def _scaled(sheet: np.ndarray, width: int) -> Image.Image:
    """Whole multiples of tiny sheets, so that pixels stay squares; larger ones are made smaller."""
    image = Image.fromarray(sheet)
    if image.width <= width:
        times = width // image.width
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS)


@lru_cache(8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), size)


def _encoded(frames: list[Image.Image], kind: str) -> bytes:
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    file = io.BytesIO()
    options = {"save_all": True, "duration": durations, "loop": 0}
    if kind == "webp":
        first, *rest = frames
        first.save(file, "WEBP", append_images=rest, quality=85, method=4, **options)
    else:
        first, *rest = (_indexed(frame) for frame in frames)
        first.save(file, "GIF", append_images=rest, disposal=1, optimize=False, **options)
    return file.getvalue()


def _indexed(frame: Image.Image) -> Image.Image:
    """In 256 colours of its own: every grey as it is, else the best ones, dithered."""
    pixels = np.asarray(frame)
    image_part = pixels[:-BAR]
    if (image_part == image_part[..., :1]).all():
        return frame.convert("L")
    return frame.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
