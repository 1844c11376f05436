"""From noisy votes to the parents of the next generation.

Everything here is post-processing of a released histogram: it costs no privacy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THRESHOLD_PER_SIGMA = 1.0


def default_threshold(noise_multiplier: float) -> float:
    """H = σ, in votes.

    A candidate without a single vote carries noise alone: about 84 % of those fall under σ, so
    little of the next generation descends from noise, while a candidate with real votes of the
    order of σ survives. The public example scripts lie between 0.7 σ (text simulator) and 1.4 σ
    (CIFAR-10, Camelyon17).
    """
    return THRESHOLD_PER_SIGMA * noise_multiplier


@dataclass(frozen=True)
class Selection:
    """``parents``: int64 ``(n,)`` ascending indices; ``uniform``: no vote passed the threshold."""

    parents: np.ndarray
    uniform: bool


def select_parents(
    noisy_votes: np.ndarray, threshold: float, n: int, method: str, rng: np.random.Generator
) -> Selection:
    """Draw ``n`` parents among the candidates.

    Votes are reduced by the threshold H and clipped at 0 (the paper's post-processing of the DP
    histogram). Where nothing is left, every candidate is equally likely.

    Args:
        noisy_votes: ``(N,)``, may be negative.
        threshold: H >= 0, in votes.
        n: how many parents, >= 1.
        method: "proportional" draws in proportion to what is left of the votes, by systematic
            sampling (Madow 1949): each candidate is drawn floor or ceil of its expected number of
            times, so the draw adds the least noise of its own. "rank" takes the best candidates
            that passed, again and again from the top when there are fewer than ``n``.
        rng: the seeded generator.
    """
    left, uniform = _votes_left(noisy_votes, threshold)
    if method == "rank" and not uniform:
        return Selection(np.sort(_best(left, n)), uniform)
    return Selection(_systematic(left, n, rng), uniform)


def selection_probabilities(
    noisy_votes: np.ndarray, threshold: float, method: str, n: int
) -> np.ndarray:
    """How likely each candidate is to be one parent of the next generation, float64 ``(N,)``.

    They sum to 1: the expected number of times that ``select_parents`` draws each, by ``n``.

    Args:
        noisy_votes, threshold, method, n: as of ``select_parents``.
    """
    left, uniform = _votes_left(noisy_votes, threshold)
    if method == "rank" and not uniform:
        return np.bincount(_best(left, n), minlength=len(left)) / n
    return left / left.sum()


def effective_number(probabilities: np.ndarray) -> float:
    """How many equally likely candidates would be as diverse, from 1 to N: ``1 / sum(p ** 2)``.

    The Hill number of order 2 (M. O. Hill, "Diversity and Evenness: A Unifying Notation and Its
    Consequences", Ecology 54, 1973), the inverse of Simpson's concentration (E. H. Simpson,
    "Measurement of Diversity", Nature 163, 1949).

    Args:
        probabilities: float64 ``(N,)``, at least 0, with the sum 1.
    """
    return float(1.0 / np.square(probabilities).sum())


def _votes_left(noisy_votes: np.ndarray, threshold: float) -> tuple[np.ndarray, bool]:
    """What is left of the votes over the threshold; and whether that is nothing: then all get 1."""
    left = np.maximum(noisy_votes - threshold, 0.0)
    uniform = not left.any()
    return np.ones_like(left) if uniform else left, uniform


def _best(left: np.ndarray, n: int) -> np.ndarray:
    """``n`` indices, from the most votes down to the last that passed, and again from the top."""
    passed = np.argsort(-left, kind="stable")[: np.count_nonzero(left)]
    return np.resize(passed, n)


def _systematic(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` indices at equal steps along the cumulative weights, from one random start."""
    edges = np.cumsum(weights)
    ticks = (np.arange(n) + rng.random()) * (edges[-1] / n)
    # rounding may push the last tick onto or past the last edge, behind which no weight lies
    last = np.flatnonzero(weights)[-1]
    return np.minimum(np.searchsorted(edges, ticks, side="right"), last)
