"""The page for people in a release: one HTML file with its pictures inside and no script.

It is made from the manifest and from pictures of released things only.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pe_engine.boundary import PUBLIC_SETTINGS, GenerationRecord, Outgoing
from pe_engine.statement import LITERATURE, LOADING, LOOK_ALIKE, MAY_RESEMBLE, short, state, up

TEMPLATE = Path(__file__).with_name("report.html.j2")
MOST_GENERATIONS = 12
BOLD = re.compile(r"\*\*(.+?)\*\*")
SHEET_WIDTH = 840  # pixels; wider contact sheets are made smaller
LARGEST_PNG = 150_000  # bytes; a contact sheet that needs more is kept as JPEG


@dataclass(frozen=True)
class Picture:
    """One generation as the page shows it; ``sheet`` and ``votes`` are data URIs or ""."""

    generation: int
    epsilon: float
    threshold: float | None
    sheet: str
    votes: str


def shown_records(
    records: Sequence[GenerationRecord], wanted: int | None = None
) -> list[GenerationRecord]:
    """At most 12 of them, evenly spread, with the first and the last; and the one of generation
    ``wanted``."""
    spread = np.linspace(0, len(records) - 1, min(len(records), MOST_GENERATIONS))
    shown = {*spread.round().astype(int).tolist(), *([] if wanted is None else [wanted])}
    return [records[i] for i in sorted(shown)]


def draw_shown(run: Outgoing) -> list[Picture]:
    """The pictures of all generations that the page shows."""
    shown = shown_records(run.records, run.generation)
    return [draw(record, run.noise_multiplier) for record in shown]


def draw(record: GenerationRecord, noise_multiplier: float) -> Picture:
    """The pictures of one generation."""
    from pe_engine.plots import vote_histogram

    votes = ""
    if record.noisy_votes is not None and record.threshold is not None:
        png = vote_histogram(record.noisy_votes, noise_multiplier, record.threshold)
        votes = _data_uri(png, "png")
    sheet = "" if record.sheet is None else _sheet_uri(record.sheet)
    return Picture(record.generation, record.epsilon_spent, record.threshold, sheet, votes)


def render(
    manifest: Mapping[str, Any], pictures: Sequence[Picture], with_arrays: bool = True
) -> str:
    """The page. Every text is escaped, wherever it comes from.

    Args:
        with_arrays: samples.npz is beside it.
    """
    import jinja2
    from markupsafe import Markup, escape

    from pe_engine.plots import epsilon_curve

    privacy, samples = manifest["privacy"], manifest["samples"]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["up"] = up
    environment.filters["short"] = short
    environment.filters["bold"] = lambda text: Markup(BOLD.sub(r"<b>\1</b>", str(escape(text))))
    curve = epsilon_curve([g["epsilon"] for g in privacy["generations"]])
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        manifest=manifest,
        privacy=privacy,
        samples=samples,
        pictures=pictures,
        result=result_of(pictures, samples["generation"]),
        last=samples["generation"] == privacy["generations"][-1]["generation"],
        with_arrays=with_arrays,
        statement=state(manifest),
        look_alike=LOOK_ALIKE,
        may_resemble=MAY_RESEMBLE,
        literature=LITERATURE,
        loading=LOADING,
        curve=_data_uri(curve, "png"),
        settings=settings_table(manifest),
    )


def result_of(pictures: Sequence[Picture], generation: int) -> Picture:
    """The picture of the generation that leaves."""
    return next(picture for picture in pictures if picture.generation == generation)


def settings_table(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All settings as (what it is, its value), both for a person."""
    settings, privacy = manifest["settings"], manifest["privacy"]
    versions = manifest["versions"].items()
    said = ((name, value) for name, value in settings.items() if value != "")
    return [
        *((PUBLIC_SETTINGS[name], _phrase(value)) for name, value in said),
        ("noise multiplier σ, votes", str(privacy["noise_multiplier"])),
        ("mechanism", privacy["mechanism"]),
        ("accountant", privacy["accountant"]),
        ("neighbouring means that", privacy["adjacency_meaning"]),
        ("exact ε", str(privacy["epsilon"])),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions)),
    ]


def _phrase(value: Any) -> str:
    """A setting's value as a person would write it."""
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return short(value)
    if isinstance(value, Mapping):
        said = {name: item for name, item in value.items() if item not in ("", None)}
        return "; ".join(f"{name}: {_phrase(item)}" for name, item in said.items()) or "none"
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
