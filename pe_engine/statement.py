"""What a release promises and what it does not, in plain sentences.

The page, the report, its PDF and the dataset card say the same, so the words are made here, once.
They hold numbers and fixed words only, never a name that somebody chose. ``**`` stands around what
is set in bold, as in Markdown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from typing import Any

NEARLY_CERTAIN = 0.95
LOOK_ALIKE = (
    "A look-alike of a set of private images. Every image here was made by the generator, and the "
    "generator was never given a private image."
)
MAY_RESEMBLE = (
    "Some images of this set may still look like a private one: when many private images have "
    "something in common, showing it is what this set is for."
)
LOADING = """from datasets import load_dataset

images = load_dataset("imagefolder", data_dir="THIS FOLDER", split="train")"""
LITERATURE = (
    "The algorithm is Private Evolution: “Differentially Private Synthetic Data via Foundation "
    "Model APIs 1: Images”, ICLR 2024."
)
WEAK = (
    "That is close to certain: at this budget the promise against the strongest guess is weak. A "
    "smaller ε makes it stronger."
)
ALWAYS_LIMITS = (
    "**Other sets from the same images.** This ε is for this set alone. The ε of everything made "
    "from the same private images adds up.",
    "**What is true of the images in general.** What many private images share can be learned from "
    "this set, also about someone whose image was never among them.",
    "**The settings.** The list of classes, the prompts and all settings are treated as public; "
    "they were chosen without protection.",
    "**The generator's own training.** Images that the generator was made or trained from are not "
    "covered.",
    "**The machine.** The promise is about these files. It presumes that the run took place on a "
    "machine that the owner of the private images trusts.",
)


@dataclass(frozen=True)
class Statement:
    """Paragraphs, each one or more whole sentences.

    Attributes:
        promise: what holds, and what it means for the best guess.
        weak: a warning where the promise is weak, else "".
        means: the same as formulas, and how it was reached.
        notes: on ε: of a run that was stopped, of an earlier generation.
        limits: what is not promised, each with a bold title.
    """

    promise: tuple[str, str]
    weak: str
    means: str
    notes: tuple[str, ...]
    limits: tuple[str, ...]


def state(manifest: Mapping[str, Any]) -> Statement:
    """The statement of a release, from what ``manifest.describe`` gives."""
    privacy = manifest["privacy"]
    by_image = privacy["unit"] == "one image"
    epsilon, delta = privacy["epsilon"], privacy["delta"]
    return Statement(
        promise=_promise(privacy, by_image),
        weak=WEAK if is_weak(epsilon, delta) else "",
        means=_means(privacy, by_image),
        notes=_notes(privacy, manifest["samples"]["generation"]),
        limits=(_unit_limit(manifest, by_image), *ALWAYS_LIMITS),
    )


def is_weak(epsilon: float, delta: float) -> bool:
    """Whether the best possible guess is close to certain; from ε = 2.944 = ln 19 on at a small
    δ."""
    return best_guess(epsilon, delta) > NEARLY_CERTAIN


def guess_told(epsilon: float, delta: float, adjacency: str, by_image: bool) -> str:
    """What ε means for the best guess, as a paragraph; ``by_image``: the unit is one image."""
    if adjacency == "add-remove":
        told = (
            "one particular image was" if by_image else "the images of one particular person were"
        )
        question = f"whether {told} among them"
    else:
        question = "which of two " + (
            "images was the remaining one"
            if by_image
            else "sets of images the remaining person had"
        )
    others = "private image" if by_image else "person's images"
    percent = f"{math.ceil(best_guess(epsilon, delta) * 1000) / 10:g} %"  # rounded up: a bound
    return (
        f"Imagine someone who has this set, knows every other {others}, and wants to find out "
        f"{question}. Where tossing a coin is right 50 % of the time, nobody can be right more "
        f"than **{percent}** of the time, with any amount of computing."
    )


def best_guess(epsilon: float, delta: float) -> float:
    """How often the best possible guess between two neighbouring data sets is right, at even odds.

    (e^ε + δ) / (1 + e^ε): both error rates satisfy α + e^ε β >= 1 - δ and e^ε α + β >= 1 - δ
    (Kairouz, Oh, Viswanath 2015, Theorem 2.1), so their mean is least where they are equal.

    Returns:
        A probability in [0.5, 1].
    """
    return (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon))


def up(value: float, digits: int = 4) -> str:
    """``value`` with four significant digits, rounded up: a bound stays a bound."""
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(repr(float(value)))
    return _plain(f"{float(rounded):.{digits}g}")


def short(value: float) -> str:
    """``value`` with four significant digits."""
    return _plain(f"{value:.4g}")


def _plain(number: str) -> str:
    """1e-05 -> 1e-5"""
    return number.replace("e-0", "e-").replace("e+0", "e+")


def _promise(privacy: Mapping[str, Any], by_image: bool) -> tuple[str, str]:
    epsilon, delta, adjacency = (privacy[name] for name in ("epsilon", "delta", "adjacency"))
    if adjacency == "add-remove":
        added = "one image" if by_image else "one person, with all images of them,"
        left_out = "one of them" if by_image else "all images of one person"
        suppose = f"{added} had been added to the private images, or {left_out} had been left out"
    else:
        suppose = (
            "one of the private images had been replaced by any other image"
            if by_image
            else "all images of one person had been replaced by any others"
        )
    return (
        f"Suppose {suppose}. Whatever could come out of the run, this set of files included, would "
        f"have been at most {up(math.exp(epsilon))} times as likely as it was, plus "
        f"{short(delta)}; and the same the other way round.",
        guess_told(epsilon, delta, adjacency, by_image),
    )


def _means(privacy: Mapping[str, Any], by_image: bool) -> str:
    releases, neighbours, votes = (
        privacy[name] for name in ("releases", "neighbours", "votes_per_unit")
    )
    when = "the one iteration" if releases == 1 else f"each of the {releases} iterations"
    whom = f"{neighbours} candidates" if neighbours > 1 else "candidate"
    together = ""
    if not by_image:
        few = f"{votes} of those" if votes > 1 else "one of those"
        together = f"all images of one person together voted for at most {few}, "
    return (
        f"This is (ε, δ)-differential privacy with ε = {up(privacy['epsilon'])} and "
        f"δ = {short(privacy['delta'])}. In {when}, each private image "
        f"{'voted for' if by_image else 'named'} the {whom} nearest to it, {together}and each vote "
        f"count got random noise of σ = {privacy['noise_multiplier']} votes before anything else "
        "saw it. Only these noisy votes chose what was developed further."
    )


def _notes(privacy: Mapping[str, Any], generation: int) -> tuple[str, ...]:
    notes = []
    last = privacy["generations"][-1]["generation"]
    releases, planned = privacy["releases"], privacy["planned_releases"]
    if releases < planned:
        notes.append(
            f"The private images voted in {releases} of the {planned} iterations that were "
            "planned; ε is that of all of them, because whoever stops a run has seen its votes."
        )
    if generation < last:
        notes.append(
            f"These are the images of generation {generation} of {planned}; ε is that of all "
            "generations, because whoever chose this one could see the others."
        )
    return tuple(notes)


def _unit_limit(manifest: Mapping[str, Any], by_image: bool) -> str:
    if by_image:
        return (
            "**A person with several images.** The unit is one image. Someone who appears in m of "
            "the private images is protected by much less: with more than m times this ε."
        )
    told = "file names" if manifest["settings"]["persons"] == "prefix" else "folders"
    return (
        f"**Who belongs to which image.** The unit is one person, as the owner's {told} tell "
        "persons apart. Somebody who appears under two names counts as two."
    )
