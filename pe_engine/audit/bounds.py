"""What guesses about canaries prove about ε, and how μ, ε and δ of a Gaussian mechanism belong
together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Guesses:
    """Which of some canaries were in the data, and which were guessed to be."""

    in_and_guessed: int
    present: int
    out_and_guessed: int
    absent: int


def lower_mu(guesses: Guesses, false_alarm: float) -> float:
    """A μ that the mechanism exceeds, unless with probability ``false_alarm``.

    A μ-GDP mechanism allows no test with Φ⁻¹(TPR) - Φ⁻¹(FPR) > μ (Dong, Roth, Su 2022, eq. 6).
    Each rate is bounded by Clopper and Pearson at half the false alarm.
    """
    from scipy import stats

    half = false_alarm / 2
    hit, n = guesses.in_and_guessed, guesses.present
    wrong, m = guesses.out_and_guessed, guesses.absent
    tpr_low = stats.beta.ppf(half, hit, n - hit + 1) if hit else 0.0
    fpr_high = stats.beta.isf(half, wrong + 1, m - wrong) if wrong < m else 1.0
    return float(stats.norm.ppf(tpr_low) - stats.norm.ppf(fpr_high))


def delta_of(mu: float, epsilon: float) -> float:
    """δ(ε) of a μ-GDP mechanism (Balle and Wang 2018, Theorem 8; Dong, Roth, Su 2022, Cor. 1)."""
    from scipy import stats

    near = stats.norm.cdf(-epsilon / mu + mu / 2)
    far = stats.norm.logcdf(-epsilon / mu - mu / 2)
    return float(near - math.exp(epsilon + far))


def epsilon_of(mu: float, delta: float) -> float:
    """ε of a μ-GDP mechanism at δ; 0 where μ <= 0."""
    from scipy import optimize

    if mu <= 0 or delta_of(mu, 0.0) <= delta:
        return 0.0
    return float(optimize.brentq(lambda epsilon: delta_of(mu, epsilon) - delta, 0.0, 200.0))


def mu_of(epsilon: float, delta: float) -> float:
    """The μ with which a Gaussian mechanism spends just (ε, δ)."""
    from scipy import optimize

    return float(optimize.brentq(lambda mu: delta_of(mu, epsilon) - delta, 1e-3, 100.0))


def one_run_epsilon(
    right: int, guessed: int, canaries: int, delta: float, false_alarm: float
) -> float:
    """An ε that the mechanism exceeds, unless with probability ``false_alarm``, for any mechanism.

    Steinke, Nasr, Jagielski 2023, Theorem 5.2: of ``guessed`` guesses about ``canaries``
    independent coins, an (ε, δ)-DP mechanism has at least v right with a probability of at most
    P[W >= v] + 2 m δ max_i P[v - i <= W < v] / i, W binomial with chance e^ε / (1 + e^ε).
    """
    low, high = 0.0, 50.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if _chance(right, guessed, canaries, middle, delta) < false_alarm:
            low = middle
        else:
            high = middle
    return low


def _chance(right: int, guessed: int, canaries: int, epsilon: float, delta: float) -> float:
    """The probability bound of ``one_run_epsilon``."""
    from scipy import stats

    won = stats.binom(guessed, 1 / (1 + math.exp(-epsilon)))
    before = won.pmf(np.arange(right - 1, -1, -1))  # W = v - 1, v - 2, ..., 0
    worst = (np.cumsum(before) / np.arange(1, right + 1)).max(initial=0.0)
    return float(won.sf(right - 1) + 2 * canaries * delta * worst)
