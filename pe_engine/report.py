"""The page for people in a release: one HTML file with its pictures inside and no script.

It is made from the manifest and from pictures of released things only.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pe_engine.boundary import PUBLIC_SETTINGS, GenerationRecord

TEMPLATE = Path(__file__).with_name("report.html.j2")
MOST_GENERATIONS = 12
SHEET_WIDTH = 840  # pixels; wider contact sheets are made smaller
LARGEST_PNG = 150_000  # bytes; a contact sheet that needs more is kept as JPEG
NEARLY_CERTAIN = 0.95


@dataclass(frozen=True)
class Picture:
    """One generation as the page shows it; ``sheet`` and ``votes`` are data URIs or ""."""

    generation: int
    epsilon: float
    threshold: float | None
    sheet: str
    votes: str


def shown_records(records: Sequence[GenerationRecord]) -> list[GenerationRecord]:
    """At most 12 of them, evenly spread, with the first and the last."""
    wanted = np.linspace(0, len(records) - 1, min(len(records), MOST_GENERATIONS))
    return [records[i] for i in np.unique(wanted.round().astype(int))]


def draw(record: GenerationRecord, noise_multiplier: float) -> Picture:
    """The pictures of one generation."""
    from pe_engine.plots import vote_histogram

    votes = ""
    if record.noisy_votes is not None and record.threshold is not None:
        png = vote_histogram(record.noisy_votes, noise_multiplier, record.threshold)
        votes = _data_uri(png, "png")
    sheet = "" if record.sheet is None else _sheet_uri(record.sheet)
    return Picture(record.generation, record.epsilon_spent, record.threshold, sheet, votes)


def render(manifest: Mapping[str, Any], pictures: Sequence[Picture]) -> str:
    """The page. Every text is escaped, wherever it comes from."""
    import jinja2

    from pe_engine.plots import epsilon_curve

    privacy = manifest["privacy"]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["up"] = _up
    environment.filters["short"] = _short
    curve = epsilon_curve([g["epsilon"] for g in privacy["generations"]])
    chance = best_guess(privacy["epsilon"], privacy["delta"])
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        manifest=manifest,
        privacy=privacy,
        samples=manifest["samples"],
        pictures=pictures,
        result=pictures[-1],
        each_image=privacy["unit"] == "one image",
        curve=_data_uri(curve, "png"),
        factor=_up(math.exp(privacy["epsilon"])),
        chance=f"{math.ceil(chance * 1000) / 10:g} %",
        weak=chance > NEARLY_CERTAIN,
        settings=[
            (PUBLIC_SETTINGS[name], _phrase(value)) for name, value in manifest["settings"].items()
        ],
    )


def best_guess(epsilon: float, delta: float) -> float:
    """How often the best possible guess between two neighbouring data sets is right, at even odds.

    (e^ε + δ) / (1 + e^ε): both error rates satisfy α + e^ε β >= 1 - δ and e^ε α + β >= 1 - δ
    (Kairouz, Oh, Viswanath 2015, Theorem 2.1), so their mean is least where they are equal.

    Returns:
        A probability in [0.5, 1].
    """
    return (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon))


def _up(value: float, digits: int = 4) -> str:
    """``value`` with four significant digits, rounded up: a bound stays a bound."""
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(repr(float(value)))
    return _plain(f"{float(rounded):.{digits}g}")


def _short(value: float) -> str:
    """``value`` with four significant digits."""
    return _plain(f"{value:.4g}")


def _plain(number: str) -> str:
    """1e-05 -> 1e-5"""
    return number.replace("e-0", "e-").replace("e+0", "e+")


def _phrase(value: Any) -> str:
    """A setting's value as a person would write it."""
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_phrase(item)}" for name, item in value.items()) or "none"
    if isinstance(value, (tuple, list)):
        if len(value) > 1 and len(set(value)) == 1:
            return f"{_phrase(value[0])} each"
        return ", ".join(_phrase(item) for item in value) or "none"
    return str(value)


def _sheet_uri(sheet: np.ndarray) -> str:
    image = Image.fromarray(sheet)
    if image.width > SHEET_WIDTH:
        height = max(1, round(image.height * SHEET_WIDTH / image.width))
        image = image.resize((SHEET_WIDTH, height), Image.Resampling.LANCZOS)
    png = _encoded(image, "PNG", compress_level=6)
    if len(png) <= LARGEST_PNG:
        return _data_uri(png, "png")
    return _data_uri(_encoded(image, "JPEG", quality=80), "jpeg")


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
