"""The dataset card of a release: README.md as the Hugging Face Hub reads it.

Its front matter says where the images lie and what the labels mean; then come the words of the
report. Which licence the images have is for their owner to say: nobody else can know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pe_engine.statement import (
    LITERATURE,
    LOADING,
    LOOK_ALIKE,
    MAY_RESEMBLE,
    short,
    state,
    up,
)
from pe_engine.takeout.pictures import has_names

TAGS = ("synthetic", "differential-privacy", "private-evolution", "imagefolder")
# https://huggingface.co/docs/hub/datasets-cards and its template's size_categories
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(manifest: Mapping[str, Any]) -> str:
    """README.md, from what ``manifest.describe`` gives."""
    parts = [
        f"---\n{_front_matter(manifest)}---",
        *_opening(manifest),
        *_privacy(manifest),
        *_making(manifest),
        *_content(manifest["samples"]),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(manifest: Mapping[str, Any]) -> str:
    """YAML of fixed words and numbers; no name that somebody chose can break out of it."""
    samples = manifest["samples"]
    labelled = len(samples["classes"]) > 1
    task = "image-classification" if labelled else "unconditional-image-generation"
    lines = [
        "# Choose the licence: https://huggingface.co/docs/hub/repositories-licenses",
        "license: unknown",
        f"pretty_name: '{_title(manifest)}'",
        *_listed("tags", TAGS),
        *_listed("task_categories", [task]),
        *_listed("size_categories", [_size(samples["count"])]),
        *["configs:", "- config_name: default", "  data_files:"],
        *["  - split: train", '    path: "images/**"'],
    ]
    return "\n".join(lines) + "\n"


def _opening(manifest: Mapping[str, Any]) -> list[str]:
    return [f"# {_title(manifest)}", f"{LOOK_ALIKE} {MAY_RESEMBLE}"]


def _title(manifest: Mapping[str, Any]) -> str:
    epsilon = up(manifest["privacy"]["epsilon"])
    return f"{manifest['samples']['count']:,} synthetic images, ε = {epsilon}"


def _privacy(manifest: Mapping[str, Any]) -> list[str]:
    privacy, statement = manifest["privacy"], state(manifest)
    facts = {
        "ε": up(privacy["epsilon"]),
        "δ": short(privacy["delta"]),
        "What is protected": privacy["unit"],
        "Neighbouring data sets": f"{privacy['adjacency']}: {privacy['adjacency_meaning']}",
        "Generations of votes": f"{privacy['releases']} of {privacy['planned_releases']}",
        "Noise σ, votes": str(privacy["noise_multiplier"]),
        "Mechanism": privacy["mechanism"],
        "Accountant": privacy["accountant"],
    }
    table = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    limits = "\n".join(f"- {text}" for text in statement.limits)
    weak = [f"> {statement.weak}"] if statement.weak else []
    return [
        "## What it promises",
        "\n".join(["| | |", "|---|---|", *table]),
        *statement.promise,
        *weak,
        statement.means,
        *statement.notes,
        "## What it does not promise",
        limits,
    ]


def _making(manifest: Mapping[str, Any]) -> list[str]:
    settings, product = manifest["settings"], manifest["product"]
    generator, embedder = (f"`{_cell(settings[n])}`" for n in ("generator", "embedder"))
    return [
        "## How it was made",
        f"By {product['name']} {product['version']} with the generator {generator} and the "
        f"embedder {embedder}. {manifest['privacy']['start']} {LITERATURE} All settings stand in "
        "`manifest.json`; `report.html` shows how the images evolved.",
    ]


def _content(samples: Mapping[str, Any]) -> list[str]:
    columns = ["`image`"]
    if len(samples["classes"]) > 1:
        columns.append("`label` (a number)")
    if has_names(samples["classes"]):
        columns.append("`label_name`")
    size = f"{samples['width']} × {samples['height']} pixels"
    return [
        "## What is in it",
        f"{samples['count']:,} images of {size}, generation {samples['generation']}, with the "
        f"columns {', '.join(columns)} and `generation`. `manifest.json` holds the SHA-256 of "
        "every file.",
        f"```python\n{LOADING}\n```",
    ]


def _size(count: int) -> str:
    return next((name for bound, name in SIZES if count < bound), "n>1M")


def _listed(name: str, values: Sequence[str]) -> list[str]:
    return [f"{name}:", *(f"- {value}" for value in values)]


def _cell(text: str) -> str:
    """Plain text within Markdown, on one line and without a table's or a code's borders."""
    return " ".join(text.split()).replace("|", "/").replace("`", "'").replace("<", "&lt;")
