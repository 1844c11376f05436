"""What is noted of a run's votings, to tell what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from pe_engine.checks import check_one_of, check_whole, check_within
from pe_engine.config import MAX_ITERATIONS, UNITS

NOISE_MULTIPLIER_RANGE = (0.05, 1e7)
MOST_VOTES = 100


@dataclass(frozen=True)
class Charge:
    """``generations`` votings with noise σ, in each of which a unit more or less moves at most
    ``neighbours`` counts by 1; a unit is one "image", or all images of one "person".

    Raises:
        ConfigError: σ is not in [0.05, 1e7], or the whole numbers are not in [1, 100] (votes) and
            [0, 200] (generations), or the unit is unknown. Anything else might cost less than
            nothing.
    """

    noise_multiplier: float
    neighbours: int
    generations: int
    unit: str = "image"

    def __post_init__(self) -> None:
        check_within("noise multiplier σ", self.noise_multiplier, *NOISE_MULTIPLIER_RANGE)
        check_whole("neighbours", self.neighbours, 1, MOST_VOTES)
        check_whole("generations", self.generations, 0, MAX_ITERATIONS)
        check_one_of("unit", self.unit, UNITS)
