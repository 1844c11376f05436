"""The release boundary: everything that leaves a run leaves through here.

Two doors, and no third. ``outgoing`` makes all that an export may know: the zip, the npz, the
manifest and the report are written from it and from nothing else. ``shown`` makes of a run's
snapshot what one viewer may see: the page, its routes and its events have nothing else.

What may leave: synthetic images, noisy votes with what they cost, and settings that stand in
``PUBLIC_SETTINGS``; class names only where they were declared public. What never does: clean votes,
how many private images there are or how many could not be read, names of files, persons and private
classes, and every measure that was taken on private images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pe_engine.components import closed_options, last_name, shown_options
from pe_engine.config import RunConfig
from pe_engine.events import Phase
from pe_engine.population import Population
from pe_engine.privacy.accounting import Charge
from pe_engine.snapshot import Snapshot

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
    "person_votes": "c, candidates that all images of one person vote for",
    "public_class_names": "class names declared public",
    "prompts": "prompts",
    "class_prompts": "prompts of each class",
    "image_size": "image size, pixels",
    "seed": "seed of everything but the noise",
    "device": "device",
    "keep_features": "features kept on disk until the run was done",
}
"""Settings that leave by name, so that a new one stays inside until someone decides that it may."""

PRIVATE_SETTINGS = frozenset({"dataset_name", "epsilon_cap", "initial", "class_names", "class_map"})
HIDDEN_NAME = "private images"
"""What a data set is called towards those who may not know its name."""

ERROR_OF_ANOTHER = "A problem has stopped this run. Its owner is told which."
"""What those are told who watch the run of another."""


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
class Outgoing:
    """All that an export knows of a run.

    Attributes:
        settings: the public ones, by name; class prompts under the names in ``classes``.
        classes: what each class id is called outside; ("",) without classes.
        unit: what is protected, "image" or "person".
        votes_per_unit: cells that adding or removing one unit moves by 1 in each generation.
        population: the generation ``chosen``, or else the last one, N >= 1.
        records: all finished generations from 0 on, in order.
        noise_multiplier: σ, in votes.
        epsilon_planned: ε of all T generations that were planned, with what the run starts from.
        committed: how many of them were voted for; the images of the last of these may be missing.
        start: where generation 0 came from: "generator", "run" or "pictures".
        inherited: what that cost, which is part of every ε.
        provenance: what identifies the files that the generator worked with.
        chosen: which generation was chosen to leave; None for the last one. ε is that of all:
            whoever chose could see them.
    """

    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    unit: str
    votes_per_unit: int
    population: Population
    records: Sequence[GenerationRecord]
    noise_multiplier: float
    epsilon_planned: float
    committed: int
    start: str = "generator"
    inherited: tuple[Charge, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    chosen: int | None = None

    @property
    def generation(self) -> int:
        """Whose images leave."""
        return self.records[-1].generation if self.chosen is None else self.chosen


def outgoing(
    config: RunConfig,
    class_names: Sequence[str],
    public_names: bool,
    population: Population,
    records: Sequence[GenerationRecord],
    noise_multiplier: float,
    **more: Any,
) -> Outgoing:
    """What may leave of a finished run.

    Args:
        config: its settings; those in ``PRIVATE_SETTINGS`` stay inside.
        class_names: one per class id; ("",) without classes.
        public_names: whether class names may leave; otherwise class ids stand for them.
        more: ``epsilon_planned`` and all that comes after it in ``Outgoing``.
    """
    names = outside_names(class_names, public_names)
    settings = {name: getattr(config, name) for name in PUBLIC_SETTINGS} | {
        "generator": last_name(config.generator),
        "generator_options": shown_options(config.generator, config.generator_options),
        "num_samples": config.sample_schedule,
        "degrees": config.degree_schedule,
        "class_prompts": {
            outside: config.class_prompts[name]
            for name, outside in zip(class_names, names, strict=True)
            if name in config.class_prompts
        },
    }
    return Outgoing(
        settings=settings,
        classes=names,
        unit=config.unit,
        votes_per_unit=config.votes_per_unit,
        population=population,
        records=records,
        noise_multiplier=noise_multiplier,
        **more,
    )


def shown(snapshot: Snapshot, owner: bool) -> Snapshot:
    """The snapshot as a viewer may see it.

    Args:
        owner: whoever looks owns the machine and the images. Nobody else sees what stands in
            ``PRIVATE_SETTINGS``, notices that tell of the images, class names that are not public,
            or which folders of the machine a generator works with.
    """
    if owner:
        return snapshot
    config = snapshot.config
    public = replace(
        config,
        generator=last_name(config.generator),
        dataset_name=HIDDEN_NAME,
        epsilon_cap=None,
        initial="",
        class_names=(),
        class_map={},
        class_prompts=config.class_prompts if snapshot.public_names else {},
        generator_options=closed_options(config.generator, config.generator_options),
    )
    # Batches tell how many private images there are: how far their reading has come, how long it
    # will take, and how often the snapshot has changed.
    reading = {"phase_fraction": 0.0, "seconds_left": None}
    return replace(
        snapshot,
        config=public,
        class_names=outside_names(snapshot.class_names, snapshot.public_names),
        owner_notices=(),
        version=0,
        **(reading if snapshot.phase is Phase.PRIVATE else {}),
    )


def watched(snapshot: Snapshot) -> Snapshot:
    """The snapshot as somebody may see it who watches the run of another: without the error, too,
    which may name the data set, its cap or what was found in it."""
    hidden = shown(snapshot, owner=False)
    return replace(hidden, error=ERROR_OF_ANOTHER) if snapshot.error else hidden


def outside_names(class_names: Sequence[str], public: bool) -> tuple[str, ...]:
    """What each class id is called outside: its name or its number; ("",) without classes."""
    if public or tuple(class_names) == ("",):
        return tuple(class_names)
    return tuple(map(str, range(len(class_names))))
