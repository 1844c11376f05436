"""A generator of fixed pictures: candidate i is the same in every generation and every run.

So an auditor knows beforehand which candidate an image votes for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import numpy as np

from pe_engine.generators.base import Facts, Generator, State

SIZE = 8
NAME = "pe_engine.audit.squares:Squares"
PICTURES_SEED = 20_240_501


@cache
def picture(place: int) -> np.ndarray:
    """uint8 ``(8, 8, 3)``: random pixels, so that any two pictures are far from each other."""
    rng = np.random.default_rng([PICTURES_SEED, place])
    return rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


class Squares(Generator):
    """Its state: ``place``, int64, which of the fixed pictures a candidate is."""

    title: ClassVar[str] = "Fixed squares"
    summary: ClassVar[str] = "the same squares of random pixels always, for audits"
    facts: ClassVar[Facts] = Facts("any CPU", "nothing", "nothing", "nothing changes", "yes")
    batch_size = 1_000_000  # one batch holds a whole generation, so that rows are places

    @classmethod
    def fitting_size(cls, options: object, asked: int | None) -> int:
        return SIZE

    @classmethod
    def uses_names(cls, options: object) -> bool:
        return False

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """The first pictures, in order; see ``Generator.random``."""
        return {"place": np.arange(len(class_names))}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """The same pictures again, whichever parents were selected; see ``Generator.vary``."""
        return {"place": np.arange(len(state["place"]))}

    def render(self, state: State, preview: bool = False) -> np.ndarray:
        """See ``Generator.render``."""
        return np.stack([picture(place) for place in state["place"]])
