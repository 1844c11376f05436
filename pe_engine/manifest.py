"""What a finished release says about itself, as plain values for JSON.

It is made of what the release boundary lets out; the report shows what the manifest holds and no
more.
"""

from __future__ import annotations

import platform
import re
import unicodedata
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from pe_engine import __version__
from pe_engine.boundary import Outgoing
from pe_engine.takeout.choice import Choice

PRODUCT = "Private Evolution Studio"
WHAT = (
    "Differentially private synthetic images: every image was made by the generator, and only "
    "noisy votes of the private images chose which ones were developed further."
)
ADJACENCY_MEANING = {
    "add-remove": "{0} added to the private data set or removed from it",
    "replace": "{0} replaced in the private data set by any other",
}
UNITS = {"image": "one image is", "person": "one person, with all images of them, is"}
STARTS = {
    "generator": "Generation 0 was drawn without looking at the private images.",
    "run": "Generation 0 comes from an earlier run; what that one cost is part of ε.",
    "pictures": "Generation 0 is made of pictures that the owner gave. If they were made from the "
    "same private images, what that cost is not part of ε.",
}
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
# Hugging Face's imagefolder takes folders with such a word for parts of a data set, and leaves out
# the others. https://huggingface.co/docs/datasets/repository_structure
SPLITS = {
    *("train", "training", "test", "testing", "eval", "evaluation"),
    *("valid", "validation", "val", "dev"),
}
LONGEST_FOLDER = 60


def describe(run: Outgoing, choice: Choice | None = None) -> dict[str, Any]:
    """The manifest without its ``files``, of a release that is written as chosen."""
    population, choice = run.population, choice or Choice()
    classes = class_table(run.classes)
    if choice.layout == "flat":
        classes = [{**entry, "folder": ""} for entry in classes]
    counts = np.bincount(population.class_ids, minlength=len(classes))
    return {
        "product": {"name": PRODUCT, "version": __version__},
        "what": WHAT,
        "privacy": {
            **_privacy(run),
            "start": STARTS[run.start],
            "inherited": [vars(charge) for charge in run.inherited],
        },
        "samples": {
            "count": len(population),
            "height": choice.size or population.images.shape[1],
            "width": choice.size or population.images.shape[2],
            "generation": run.generation,
            "format": choice.format,
            "classes": [
                {**entry, "samples": int(count)}
                for entry, count in zip(classes, counts, strict=True)
            ],
        },
        "settings": dict(run.settings),
        "versions": {**_versions(), **run.provenance},
    }


def class_table(names: Sequence[str]) -> list[dict[str, Any]]:
    """For each class its id, what it is called outside, and its folder in the zip.

    Without classes, ("",), the only folder is "".
    """
    if tuple(names) == ("",):
        return [{"id": 0, "name": "0", "folder": ""}]
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
        if SPLITS.intersection(re.split(r"[\W\d_]+", slug.casefold())):
            slug = f"class-{i}"
        folder, n = slug, i
        while folder.casefold() in taken:
            folder, n = f"{slug}-{n}", n + 1
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def _privacy(run: Outgoing) -> dict[str, Any]:
    from pe_engine.privacy.accounting import accountant_name

    settings = run.settings
    return {
        # Whoever stops early has looked at votes first, so a shorter run pays for the planned one.
        "epsilon": run.epsilon_planned,
        "delta": settings["delta"],
        "unit": f"one {run.unit}",
        "adjacency": settings["adjacency"],
        "adjacency_meaning": ADJACENCY_MEANING[settings["adjacency"]].format(UNITS[run.unit]),
        "noise_multiplier": run.noise_multiplier,
        "releases": run.committed,
        "planned_releases": settings["iterations"],
        "neighbours": settings["neighbours"],
        "votes_per_unit": run.votes_per_unit,
        "mechanism": f"discrete Gaussian (OpenDP {metadata.version('opendp')})",
        "accountant": accountant_name(),
        "generations": [
            {
                "generation": record.generation,
                "threshold": record.threshold,
                "epsilon": record.epsilon_spent,
            }
            for record in run.records
        ],
    }


def _versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that had a part in the result."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
