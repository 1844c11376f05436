"""What a finished release says about itself, as plain values for JSON.

Only what is listed here leaves: settings are let through by name, so that a new one stays inside
until someone decides that it may leave. The report shows what the manifest holds and no more.
"""

from __future__ import annotations

import platform
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from pe_engine import __version__
from pe_engine.components import last_name, shown_options
from pe_engine.config import RunConfig
from pe_engine.population import Population
from pe_engine.privacy.accounting import Charge

PRODUCT = "Private Evolution Studio"
WHAT = (
    "Differentially private synthetic images: every image was made by the generator, and only "
    "noisy votes of the private images chose which ones were developed further."
)
ADJACENCY_MEANING = {
    "add-remove": "one image is added to the private data set or removed from it",
    "replace": "one image of the private data set is replaced by any other image",
}
STARTS = {
    "generator": "Generation 0 was drawn without looking at the private images.",
    "run": "Generation 0 comes from an earlier run; what that one cost is part of ε.",
    "pictures": "Generation 0 is made of pictures that the owner gave. If they were made from the "
    "same private images, what that cost is not part of ε.",
}
PUBLIC_SETTINGS = {
    "generator": "generator",
    "generator_options": "generator options",
    "embedder": "embedder",
    "metric": "metric between features",
    "neighbours": "k, candidates that each private image votes for",
    "search": "nearest neighbour search",
    "epsilon": "budget ε",
    "delta": "budget δ",
    "adjacency": "neighbouring data sets",
    "iterations": "iterations T",
    "num_samples": "samples N of each generation",
    "lookahead": "look-ahead L",
    "threshold": "threshold H, votes",
    "selection": "selection",
    "keep_selected": "selected images stay",
    "fresh_children": "parents varied anew",
    "degrees": "variation degrees",
    "classes": "class rule",
    "persons": "what names an image's person",
    "person_votes": "candidates that all images of one person vote for",
    "public_class_names": "class names declared public",
    "prompts": "prompts",
    "class_prompts": "prompts of each class",
    "image_size": "image size, pixels",
    "seed": "seed of everything but the noise",
    "device": "device",
    "keep_features": "features kept on disk until the run was done",
}
PRIVATE_SETTINGS = frozenset({"dataset_name", "epsilon_cap", "initial", "class_names"})
PACKAGES = (
    "numpy",
    "pillow",
    "torch",
    "diffusers",
    "transformers",
    "faiss-cpu",
    "faiss-gpu",
    "opendp",
    "dp-accounting",
)
# Windows cannot make folders of these names, with or without an ending.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.ASCII | re.IGNORECASE)
LONGEST_FOLDER = 60


@dataclass(frozen=True)
class GenerationRecord:
    """What is known about one finished generation.

    Attributes:
        generation: 0..T.
        sheet: uint8 ``(H, W, 3)``, a contact sheet of some of its images.
        noisy_votes: int64 ``(N,)``, the votes that chose its parents; None for generation 0.
        threshold: H in votes, applied to them; None for generation 0.
        epsilon_spent: ε of generations 1..``generation``; 0.0 for generation 0.
    """

    generation: int
    sheet: np.ndarray | None
    noisy_votes: np.ndarray | None
    threshold: float | None
    epsilon_spent: float


@dataclass(frozen=True)
class Origin:
    """What came before a run.

    Attributes:
        start: where its generation 0 came from, a key of ``STARTS``.
        inherited: what that cost, which is part of every ε.
        provenance: what identifies the files that its generator worked with.
    """

    start: str = "generator"
    inherited: tuple[Charge, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


NOTHING_BEFORE = Origin()


def describe(
    *,
    config: RunConfig,
    class_names: Sequence[str],
    public_names: bool,
    population: Population,
    records: Sequence[GenerationRecord],
    noise_multiplier: float,
    origin: Origin = NOTHING_BEFORE,
) -> dict[str, Any]:
    """The manifest without its ``files``.

    Args:
        class_names: one per class id; ("",) without classes.
        public_names: class names may be shown; otherwise class ids stand for them.
        population: the last generation.
        records: all generations, in order.
        noise_multiplier: σ, in votes.
        origin: what came before the run.
    """
    classes = class_table(class_names, public_names)
    counts = np.bincount(population.class_ids, minlength=len(class_names))
    return {
        "product": {"name": PRODUCT, "version": __version__},
        "what": WHAT,
        "privacy": {
            **_privacy(config, records, noise_multiplier),
            "start": STARTS[origin.start],
            "inherited": [vars(charge) for charge in origin.inherited],
        },
        "samples": {
            "count": len(population),
            "height": population.images.shape[1],
            "width": population.images.shape[2],
            "classes": [
                {**entry, "samples": int(count)}
                for entry, count in zip(classes, counts, strict=True)
            ],
        },
        "settings": _public_settings(config, class_names, classes),
        "versions": {**_versions(), **origin.provenance},
    }


def class_table(class_names: Sequence[str], public_names: bool) -> list[dict[str, Any]]:
    """For each class its id, the name it may be called outside, and its folder in the zip.

    Without classes the only folder is "". Names that are not public are replaced by class ids.
    """
    if tuple(class_names) == ("",):
        return [{"id": 0, "name": "0", "folder": ""}]
    names = [name if public_names else str(i) for i, name in enumerate(class_names)]
    return [
        {"id": i, "name": name, "folder": folder}
        for i, (name, folder) in enumerate(zip(names, _folder_names(names), strict=True))
    ]


def _folder_names(names: Sequence[str]) -> list[str]:
    """Names that every file system can hold, no two alike where upper and lower case are one."""
    taken: set[str] = set()
    folders = []
    for i, name in enumerate(names):
        # no separator, dot or control character survives: only letters, digits, _ and -
        words = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFKC", name))
        slug = words.strip("-_")[:LONGEST_FOLDER] or str(i)
        if RESERVED.fullmatch(slug):
            slug = f"class-{slug}"
        folder, n = slug, i
        while folder.casefold() in taken:
            folder, n = f"{slug}-{n}", n + 1
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def _privacy(
    config: RunConfig, records: Sequence[GenerationRecord], noise_multiplier: float
) -> dict[str, Any]:
    from pe_engine.privacy.accounting import accountant_name

    releases = records[-1].generation
    return {
        # Whoever stops early has looked at votes first, so a shorter run pays for the planned one.
        "epsilon": records[-1].epsilon_spent if releases == config.iterations else config.epsilon,
        "delta": config.delta,
        "unit": "one image",
        "adjacency": config.adjacency,
        "adjacency_meaning": ADJACENCY_MEANING[config.adjacency],
        "noise_multiplier": noise_multiplier,
        "releases": releases,
        "planned_releases": config.iterations,
        "neighbours": config.neighbours,
        "mechanism": f"discrete Gaussian (OpenDP {metadata.version('opendp')})",
        "accountant": accountant_name(),
        "generations": [
            {
                "generation": record.generation,
                "threshold": record.threshold,
                "epsilon": record.epsilon_spent,
            }
            for record in records
        ],
    }


def _public_settings(
    config: RunConfig, class_names: Sequence[str], classes: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Every public setting with its schedules written out and its classes called as outside."""
    settings = {name: getattr(config, name) for name in PUBLIC_SETTINGS}
    settings["generator"] = last_name(config.generator)
    settings["generator_options"] = shown_options(config.generator, config.generator_options)
    settings["num_samples"] = config.sample_schedule
    settings["degrees"] = config.degree_schedule
    settings["class_prompts"] = {
        entry["name"]: config.class_prompts[name]
        for name, entry in zip(class_names, classes, strict=True)
        if name in config.class_prompts
    }
    return settings


def _versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that had a part in the result."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
