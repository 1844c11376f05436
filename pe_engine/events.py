"""What a run can say, frozen and typed.

Two things are for the owner's eyes only: a ``Notice`` that says so, and how far the phase
``PRIVATE`` is. With add/remove-one adjacency the number of private images is itself protected, and
batches of known size would tell it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from pe_engine.population import Population


class Phase(str, Enum):
    """What the run is doing within a generation."""

    RANDOM = "drawing the first images"
    PRIVATE = "reading the private images"
    LOOKAHEAD = "looking ahead"
    VOTE = "voting"
    VARY = "varying the selected images"
    EXPORT = "writing the result"
    ENTER = "handing the images to the next generator"
    PREPARE = "preparing the generator"
    # random streams go by the place here: a new phase is added at the end


@dataclass(frozen=True)
class Loaded:
    """The models are loaded; only now does the work of the run begin."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` pieces of work of this phase are done, after every batch.

    Attributes:
        images: some or all of what this batch made, as the generator rendered it (see
            ``Generator.render``); None where no image was made. They follow from released votes
            alone, as all that a generator makes.
        made: how many new images this batch made; those that look-ahead had made are not new.
    """

    generation: int
    phase: Phase
    done: int
    total: int
    images: Any = field(default=None, compare=False, repr=False)
    made: int = 0


@dataclass(frozen=True)
class GenerationReady:
    """Generation ``generation`` (0..T) is complete and stored."""

    generation: int
    population: Population


@dataclass(frozen=True)
class VotesReleased:
    """The noisy votes on generation ``generation - 1``, which choose the parents of ``generation``.

    They and their charge were in the ledger before this event was made.

    Attributes:
        noisy_votes: int64 ``(N,)``, one per candidate; may be negative.
        threshold: H, in votes.
        epsilon_spent: ε of generations 1..``generation`` at the run's δ.
        reused: True when a resumed run read them back from the ledger.
    """

    generation: int
    noisy_votes: np.ndarray
    threshold: float
    epsilon_spent: float
    reused: bool


@dataclass(frozen=True)
class Notice:
    """A sentence worth reading (a class drawn uniformly, files skipped, ...).

    ``private``: it tells of the private images and is for their owner alone.
    """

    generation: int
    message: str
    private: bool = False


Event = Loaded | Progress | GenerationReady | VotesReleased | Notice
