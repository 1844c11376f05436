"""What a privacy budget buys, before it is spent: plain words, the strength of the votes, and how
many samples and iterations to begin with.

Nothing here knows the private images: their number is an estimate that the user types in because
it is public. A count taken from the data would make the settings, which are published, depend on
them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pe_engine.checks import check_whole, check_within
from pe_engine.config import EPSILON_RANGE, MAX_ITERATIONS, MAX_SAMPLES
from pe_engine.privacy.accounting import noise_multiplier
from pe_engine.selection import THRESHOLD_PER_SIGMA
from pe_engine.statement import is_weak

MOST_IMAGES = 10**12
CLEAR_SIGNAL = THRESHOLD_PER_SIGMA + 1
"""Votes in σ with which an average candidate passes the default threshold in 84 % of all cases,
while one without a vote passes in 16 %: each is one σ away from it."""

FEWEST_SAMPLES = 10
"""With fewer there is no population to choose from."""

STRONG = 1.0
"""The largest ε that ``TIERS_SOURCE`` calls strong; it calls those up to 10 reasonable."""

TIERS_SOURCE = (
    "Ponomareva and others, How to DP-fy ML, Journal of Artificial Intelligence Research 77 "
    "(2023), section 5.2"
)
GUESS_SOURCE = (
    "Kairouz, Oh and Viswanath, The Composition Theorem for Differential Privacy (ICML 2015)"
)
ADVICE_SOURCE = (
    "Gonzalez, Fanti and Ramdas, Private Evolution Converges (2025): iterations in proportion to "
    "log(n ε), samples to n ε / √T"
)


@dataclass(frozen=True)
class Advice:
    """Settings to begin with: ``samples`` N and ``iterations`` T."""

    samples: int
    iterations: int


def tier(epsilon: float, delta: float) -> str:
    """What an ε > 0 is called: as in ``TIERS_SOURCE``, but weak as soon as the report of a release
    would call it so."""
    if is_weak(epsilon, delta):
        return "weak"
    return "strong" if epsilon <= STRONG else "reasonable"


def largest_delta(images: int) -> float:
    """1 / n. A mechanism that publishes one whole image drawn at random satisfies (0, 1 / n), so
    from there on δ promises nothing (Dwork and Roth, The Algorithmic Foundations of Differential
    Privacy, 2014, section 2.3)."""
    check_whole("number of images", images, 1, MOST_IMAGES)
    return 1 / images


def expected_votes(images: int, votes: int, samples: int) -> float:
    """n k / N: the votes of an average candidate, where each of n images has k votes and N
    candidates share them. The same with classes, of which each has its part of both."""
    check_whole("number of images", images, 1, MOST_IMAGES)
    return images * votes / samples


def suggest(
    images: int, epsilon: float, delta: float, votes: int = 1, adjacency: str = "add-remove"
) -> Advice | None:
    """Samples and iterations to begin with; None where the budget allows for too few samples.

    T is 1 + log10(n ε) and N = n k / (2 σ), so that the votes of an average candidate are
    ``CLEAR_SIGNAL`` times their noise. σ of T votings is √T times that of one. The form of both
    rules is that of ``ADVICE_SOURCE``; the constants are ours: T comes out at 5 to 7 for 5,000 to
    60,000 images, as in the runs of the paper (T = 7, ICLR 2024) and of DPImageBench (T = 5). The
    paper's own N = n leaves the average votes far below σ and lives from favourites; this is more
    cautious.

    Args:
        images: n, as publicly known: images, or persons where whole persons are protected.
        epsilon, delta, votes, adjacency: the budget, as in ``noise_multiplier``.

    Raises:
        ConfigError: a value out of its range.
    """
    check_whole("number of images", images, 1, MOST_IMAGES)
    check_within("ε (epsilon)", epsilon, *EPSILON_RANGE)
    steps = max(1.0, 1 + math.log10(images * epsilon))  # not whole, so that N never falls with ε
    sigma = noise_multiplier(epsilon, delta, 1, votes, adjacency) * math.sqrt(steps)
    samples = _rounded_down(images * votes / (CLEAR_SIGNAL * sigma))
    if samples < FEWEST_SAMPLES:
        return None
    return Advice(min(samples, MAX_SAMPLES), min(round(steps), MAX_ITERATIONS))


def _rounded_down(value: float) -> int:
    """To two digits: advice is not more exact than that."""
    if value < 1:
        return 0
    unit = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return int(value // unit) * unit
