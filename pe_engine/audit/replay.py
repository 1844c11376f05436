"""Record and replay: with the same noisy votes, does anything else tell two data sets apart?

A run on a data set D is recorded. A run on a neighbour D' gets the recorded noisy votes in place of
its own. Whatever differs then, by one byte, has come from the private images by another way. The
clean votes, which only the place where noise is added sees, may differ in as many cells as the
accounting says; and that place must be asked once in each generation for the noise that the run
was planned with, which must be enough for what it claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pe_engine import release
from pe_engine.audit import neighbours, provider, squares
from pe_engine.audit.calibration import epsilon_of_sum
from pe_engine.audit.finding import Finding
from pe_engine.audit.neighbours import Layout, Neighbour
from pe_engine.audit.watching import Frozen, Interruption, Seen, watch
from pe_engine.config import RunConfig
from pe_engine.header import Header

AUDIT = "replay"
OPTIONS = {
    "text_render": {"fonts": "handwriting"},
    provider.NAME: provider.OPTIONS,
    squares.NAME: {},
}


@dataclass(frozen=True)
class Setting:
    """One row of the matrix; ``votes`` is k, or c with persons; ``others`` are further settings,
    by name."""

    adjacency: str
    votes: int
    classes: bool
    lookahead: int
    persons: bool = False
    generator: str = "text_render"
    interruption: Interruption = Interruption.NONE
    others: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        unit = "person, c" if self.persons else "image, k"
        parts = [
            f"{self.adjacency} of one {unit} = {self.votes}",
            "four classes" if self.classes else "no classes",
            f"look-ahead {self.lookahead}",
            *[self.generator] * (self.generator == provider.NAME),
            *[self.interruption.value] * (self.interruption is not Interruption.NONE),
            *(f"{name} = {value}" for name, value in self.others),
        ]
        return ", ".join(parts)

    @property
    def layout(self) -> Layout:
        return Layout(self.classes, self.persons)

    def config(self) -> RunConfig:
        """Few samples, so that one label more would change how many a class gets."""
        persons = {"persons": "folder", "person_votes": self.votes} if self.persons else {}
        return RunConfig(
            dataset_name="audit",
            generator=self.generator,
            generator_options=OPTIONS[self.generator],
            classes="folder" if self.classes else "none",
            class_names=neighbours.CLASSES if self.classes else (),
            prompts=() if self.classes else ("A", "7"),
            adjacency=self.adjacency,
            neighbours=1 if self.persons else self.votes,
            lookahead=self.lookahead,
            epsilon=8.0,
            iterations=2,
            num_samples=(24,),
            image_size=squares.SIZE if self.generator == squares.NAME else neighbours.SIDE,
            **persons,
            **dict(self.others),
        )


QUICK = Setting("add-remove", 1, classes=True, lookahead=0, generator=squares.NAME)
QUICK_PERSONS = replace(QUICK, persons=True)
QUICK_STOPPED = replace(QUICK, interruption=Interruption.READING)
QUICK_AHEAD = replace(QUICK, lookahead=2)
PAID = Setting("add-remove", 1, classes=True, lookahead=2, generator=provider.NAME)
SOME = (
    Setting("add-remove", 1, classes=True, lookahead=2),
    Setting("add-remove", 3, classes=False, lookahead=0),
    Setting("replace", 3, classes=True, lookahead=0),
    Setting("replace", 1, classes=False, lookahead=2),
    Setting("add-remove", 1, classes=True, lookahead=0, persons=True),
    Setting("add-remove", 3, classes=False, lookahead=2, persons=True),
    Setting("replace", 3, classes=True, lookahead=2, persons=True),
    Setting("replace", 1, classes=False, lookahead=0, persons=True),
    PAID,
    QUICK_STOPPED,
    replace(QUICK_PERSONS, interruption=Interruption.FAULT),
    Setting("add-remove", 3, classes=False, lookahead=2, interruption=Interruption.RELEASED),
)
ALL = (
    *(
        Setting(adjacency, votes, classes, lookahead, persons)
        for adjacency in ("add-remove", "replace")
        for votes in (1, 3)
        for classes in (False, True)
        for lookahead in (0, 2)
        for persons in (False, True)
    ),
    *SOME[8:],
    *(
        replace(QUICK, adjacency="replace", persons=persons, interruption=interruption)
        for persons, interruption in product((False, True), list(Interruption)[1:])
    ),
    *(
        replace(SOME[0], others=others)
        for others in (
            (("metric", "ip"),),
            (("metric", "cosine"),),
            (("search", "torch"),),
            (("selection", "rank"),),
            (("keep_selected", True),),
            (("fresh_children", True),),
        )
    ),
    replace(SOME[0], interruption=Interruption.RELEASED, others=(("keep_features", True),)),
)


def audit(work: Path, settings: Sequence[Setting] = SOME) -> Iterator[Finding]:
    """Three findings for each setting: what could be seen, how far clean votes moved, and which
    noise was asked for.

    Args:
        work: a folder for the runs; their subfolders are made.
    """
    for i, setting in enumerate(settings):
        yield from _compare(work / str(i), setting, neighbours_of(setting))


def neighbours_of(setting: Setting) -> list[Neighbour]:
    """The data sets that this setting is tried on."""
    if setting.adjacency == "add-remove":
        return list(neighbours.added_or_removed(setting.layout))
    return list(neighbours.replaced(setting.layout))


def _compare(work: Path, setting: Setting, tried: Sequence[Neighbour]) -> Iterator[Finding]:
    config, stop = setting.config(), setting.interruption
    recorded = Frozen(release.discrete_gaussian)
    files = neighbours.base(setting.layout)
    original = watch(work / "original", config, files, recorded, stop)
    told, asked, whole = [], [recorded.asked], True
    moved: dict[int, float] = {}  # by how many units' votes may have moved
    for i, neighbour in enumerate(tried):
        frozen = Frozen(recorded.noise, recorded.noisy)
        seen = watch(work / str(i), config, neighbour.files, frozen, stop)
        told += [f"{thing} ({neighbour.change})" for thing in differences(original, seen)]
        squared, sound = movement(recorded.clean, frozen.clean)
        moved[neighbour.units] = max(moved.get(neighbour.units, 0), squared)
        whole = whole and sound
        asked.append(frozen.asked)
    things, count = len(original.things), len(tried)
    yield Finding(
        AUDIT,
        f"{setting}: {things} things seen, {count} neighbour{'s' * (count != 1)}",
        "; ".join(told[:5]) + f"; {len(told)} in all" * (len(told) > 5) or "all the same",
        "the same byte for byte",
        not told,
    )
    bounds = {units: config.votes_per_unit * units for units in moved}
    yield Finding(
        AUDIT,
        f"{setting}: votes that one unit moves",
        _lengths(moved),
        f"{_lengths(bounds)}, each count by 1",
        whole and max(moved.values()) > 0 and all(moved[u] <= bounds[u] for u in moved),
    )
    yield _noise_asked_for(setting, original.header, asked)


def _lengths(squared: Mapping[int, float]) -> str:
    """One L2 length for each way in which a unit differs."""
    ways = {0: "that cannot vote", 1: "added or removed", 2: "replaced or changed"}
    return ", ".join(f"√{squared[units]:g} {ways[units]}" for units in sorted(squared))


def _noise_asked_for(setting: Setting, header: Header, asked: Sequence[Sequence[float]]) -> Finding:
    """Once in each generation of each run the σ that was planned, and that one costs what it may.

    Args:
        asked: for each run the σ of each time that noise was asked for.
    """
    config, sigma = header.config, header.budget.noise_multiplier
    cells = config.iterations * config.votes_per_unit * (1 + (config.adjacency == "replace"))
    epsilon = epsilon_of_sum(sigma, cells, config.delta)
    wrong = {other for run in asked for other in run} - {sigma}
    times = sorted({len(run) for run in asked})
    return Finding(
        AUDIT,
        f"{setting}: noise that is asked for",
        f"σ = {', '.join(f'{other:.4f}' for other in sorted({sigma} | wrong))}, "
        f"{' or '.join(map(str, times))} times; ε = {epsilon:.4f}",
        f"σ = {sigma:.4f}, {config.iterations} times; ε <= {config.epsilon:g}",
        not wrong and times == [config.iterations] and epsilon <= config.epsilon,
    )


def differences(one: Seen, other: Seen) -> list[str]:
    """The names of the things that were not seen alike."""
    names = sorted(one.things.keys() | other.things.keys())
    return [name for name in names if one.things.get(name) != other.things.get(name)]


def movement(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> tuple[float, bool]:
    """The largest squared L2 distance of the clean votes of a generation, and whether all are whole
    numbers, as many, and none moved by more than 1."""
    if not one or [votes.shape for votes in one] != [votes.shape for votes in other]:
        return np.inf, False
    whole = all(np.issubdtype(votes.dtype, np.integer) for votes in (*one, *other))
    steps = [np.abs(a - b) for a, b in zip(one, other, strict=True)]
    return max((s**2).sum() for s in steps), whole and all(s.max(initial=0) <= 1 for s in steps)
