"""What a number of noisy votings costs: ε for a given noise, and the noise for a given ε.

One generation publishes, for every class, integer vote counts plus discrete Gaussian noise of
parameter σ in each cell. An image votes for k distinct candidates of its one class, so adding or
removing it moves k cells by 1, and replacing it moves up to 2k cells by 1. Where the unit is a
person, all images of one person together vote for at most c distinct candidates, whatever their
classes; a person more or less moves up to c cells by 1. T generations are then ``cells`` = kT (or
2kT), or cT (or 2cT), independent discrete Gaussians whose centres are 1 apart, and only that number
and σ matter. Their exact trade-off δ(ε) comes from dp-accounting's privacy loss distributions;
every rounding here goes to the safe side, a larger ε or a larger σ.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache, reduce
from importlib.metadata import version

from pe_engine.checks import check_one_of, check_whole, check_within
from pe_engine.config import ADJACENCIES, DELTA_RANGE, EPSILON_RANGE, MAX_ITERATIONS, UNITS
from pe_engine.privacy.charges import MOST_VOTES, NOISE_MULTIPLIER_RANGE, Charge

DECIMALS = 10_000  # σ is a multiple of 1 / DECIMALS

# From here on a sum of discrete Gaussians is a discrete Gaussian (see _loss_of_sum).
SMALLEST_SMOOTH = 1.3
# Standard deviation of a sum from which on the lattice it lives on is too fine to matter.
LATTICE_LIMIT = 1000.0
# What is given away of δ for rounding, with a factor 2 or more to spare over the worst seen in
# comparisons with direct convolutions: a part of it for sums of doubles, and an absolute amount
# for each Fourier transform and each cell that went through one.
ROUNDING = 1e-6
TRANSFORM_ROUNDING = 1e-14
TRANSFORM_ROUNDING_PER_CELL = 4e-16

Curve = Callable[[float], float]
"""δ as a function of ε: non-increasing, never below the truth."""


@lru_cache(maxsize=4096)
def noise_multiplier(
    epsilon: float,
    delta: float,
    iterations: int,
    neighbours: int = 1,
    adjacency: str = "add-remove",
) -> float:
    """The smallest σ, in votes and a multiple of 0.0001, with which T votings cost at most ε.

    Args:
        epsilon, delta: the budget; ε in [0.01, 100], δ in [1e-12, 0.1].
        iterations: T in [1, 200].
        neighbours: k of an image or c of a person, in [1, 100].
        adjacency: 'add-remove' or 'replace' of one unit.

    Raises:
        ConfigError: a value out of its range.
    """
    check_within("ε (epsilon)", epsilon, *EPSILON_RANGE)
    cells = _cells(delta, iterations, neighbours, adjacency)

    def enough(steps: int) -> bool:
        curve, usable_delta = _curve(steps / DECIMALS, cells, delta)
        return curve(epsilon) <= usable_delta

    steps = _first(enough, math.ceil(_continuous_guess(epsilon, delta, cells) * DECIMALS))
    # epsilon_spent stops within a tolerance above the truth: what it will say must fit too.
    while epsilon_spent(steps / DECIMALS, delta, iterations, neighbours, adjacency) > epsilon:
        steps += 1
    return steps / DECIMALS


@lru_cache(maxsize=4096)
def epsilon_spent(
    noise_multiplier: float,
    delta: float,
    iterations: int,
    neighbours: int = 1,
    adjacency: str = "add-remove",
) -> float:
    """ε of T votings with noise σ at δ, at most 1e-9 (relative) above the smallest proven.

    Args as in ``noise_multiplier``; σ in [0.05, 1e7]. Infinite where δ is smaller than the
    rounding errors of that many cells, which needs σ < 1.3 and an ε in the hundreds.

    Raises:
        ConfigError: a value out of its range.
    """
    check_within("noise multiplier σ", noise_multiplier, *NOISE_MULTIPLIER_RANGE)
    cells = _cells(delta, iterations, neighbours, adjacency)
    return _epsilon(*_curve(noise_multiplier, cells, delta))


def epsilon_prefixes(
    noise_multiplier: float,
    delta: float,
    iterations: int,
    neighbours: int = 1,
    adjacency: str = "add-remove",
) -> tuple[float, ...]:
    """ε after generation 1, 2, ..., T; arguments and errors as in ``epsilon_spent``."""
    check_whole("iterations", iterations, 1, MAX_ITERATIONS)
    return tuple(
        epsilon_spent(noise_multiplier, delta, t, neighbours, adjacency)
        for t in range(1, iterations + 1)
    )


def composed_epsilon(
    charges: Iterable[Charge], delta: float, adjacency: str = "add-remove", unit: str = "image"
) -> float:
    """ε of all charges together, on the same private images, at δ; 0.0 for no charge.

    Args:
        unit: what ε is to be of, one "image" or all images of one "person". An image more or less
            changes for which c candidates its person votes: up to c votes go and c others come in
            their place, so that a charge of persons moves up to 2c cells by 1. A charge of images
            says nothing of persons, who may have any number of them: then ε is infinite.

    Charges of different σ are composed by convolving their privacy loss distributions on one grid,
    which overstates ε by less than 1e-5 of it, or 2e-3 where δ is below 1e-9.

    Raises:
        ConfigError: δ or the adjacency is out of its range.
    """
    check_within("δ (delta)", delta, *DELTA_RANGE)
    check_one_of("adjacency", adjacency, ADJACENCIES)
    check_one_of("unit", unit, UNITS)
    cells_of: dict[float, int] = defaultdict(int)
    for charge in charges:
        if not charge.generations:
            continue
        if unit == "person" and charge.unit == "image":
            return math.inf
        cells = charge.generations * charge.neighbours * (1 if charge.unit == unit else 2)
        cells_of[charge.noise_multiplier] += cells if adjacency == "add-remove" else 2 * cells
    return _composed(tuple(sorted(cells_of.items())), delta)


def accountant_name() -> str:
    """The accountant and its installed version, for manifests and reports."""
    return f"dp-accounting {version('dp-accounting')}, discrete Gaussian privacy loss distribution"


def _cells(delta: float, iterations: int, neighbours: int, adjacency: str) -> int:
    """How many cells a unit can move by 1 in the whole run, all values checked."""
    check_within("δ (delta)", delta, *DELTA_RANGE)
    check_whole("iterations", iterations, 1, MAX_ITERATIONS)
    check_whole("neighbours", neighbours, 1, MOST_VOTES)
    check_one_of("adjacency", adjacency, ADJACENCIES)
    return iterations * neighbours * (1 if adjacency == "add-remove" else 2)


def _curve(sigma: float, cells: int, delta: float) -> tuple[Curve, float]:
    """δ(ε) of ``cells`` cells with noise σ, and the part of δ left after rounding errors."""
    if cells > 1 and sigma < SMALLEST_SMOOTH:
        # All losses are odd multiples of 1 / 2σ²: on that grid the distribution is exact.
        pld = _pld(sigma, cells, 0.5 / sigma**2)
        return pld.get_delta_for_epsilon, _usable(delta, 1, cells)
    return _loss_of_sum(sigma, cells).get_delta_for_epsilon, _usable(delta, 0, 0)


def _usable(delta: float, transforms: int, transformed_cells: int) -> float:
    """What is left of δ when rounding errors are taken off."""
    lost = transforms * TRANSFORM_ROUNDING + transformed_cells * TRANSFORM_ROUNDING_PER_CELL
    return delta * (1 - ROUNDING) - lost


def _loss_of_sum(sigma: float, cells: int):
    """The privacy loss of ``cells`` cells whose centres all move by 1, from the sum of their noise.

    The likelihood ratio depends on the n noises only through their sum s: the loss is
    (n/2 - s) / σ². With p = exp(-x²/2σ²), the sum has mass exp(-s²/2nσ²) times a theta sum over a
    coset of the lattice A_(n-1), which by Poisson summation is the same for all s up to a factor
    1 ± 2n exp(-2π²σ²(1 - 1/n)): below 1e-6 from σ = 1.3 on. So the sum is a discrete Gaussian of
    parameter τ = √n σ whose centre moves by n, and no convolution is needed.

    Where τ is large, sums over that lattice are integrals up to a change of the variance by at
    most 1/12 of the squared spacing (Euler-Maclaurin), relative 1/(12τ²): the continuous Gaussian
    with σ smaller by 1/(8τ²) bounds it.
    """
    from dp_accounting.pld import privacy_loss_mechanism as mechanism

    tau = math.sqrt(cells) * sigma
    if tau > LATTICE_LIMIT:
        return mechanism.GaussianPrivacyLoss(sigma * (1 - 1 / (8 * tau**2)) / math.sqrt(cells))
    return mechanism.DiscreteGaussianPrivacyLoss(
        tau, sensitivity=cells, truncation_bound=cells + math.ceil(11.6 * tau)
    )


def _pld(sigma: float, cells: int, interval: float):
    """dp-accounting's distribution of the privacy loss, on multiples of ``interval``."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    options = {"value_discretization_interval": interval, "use_connect_dots": True}
    if cells > 1 and sigma < SMALLEST_SMOOTH:
        one = pld.from_discrete_gaussian_mechanism(sigma, sensitivity=1, **options)
        return one.self_compose(cells)
    tau = math.sqrt(cells) * sigma
    if tau > LATTICE_LIMIT:
        smaller = sigma * (1 - 1 / (8 * tau**2))
        return pld.from_gaussian_mechanism(smaller / math.sqrt(cells), **options)
    bound = cells + math.ceil(11.6 * tau)
    return pld.from_discrete_gaussian_mechanism(
        tau, sensitivity=cells, truncation_bound=bound, **options
    )


@lru_cache(maxsize=1024)
def _composed(cells_of: tuple[tuple[float, int], ...], delta: float) -> float:
    """ε at δ of all (σ, cells) together."""
    if not cells_of:
        return 0.0
    if len(cells_of) == 1:
        return _epsilon(*_curve(*cells_of[0], delta))
    # The whole loss is nearly Gaussian with standard deviation μ; splitting an atom between two
    # grid points adds at most interval² / 4 to its variance.
    mu = math.sqrt(sum(cells / sigma**2 for sigma, cells in cells_of))
    interval = mu / 5000
    total = reduce(
        lambda before, part: before.compose(part),
        (_pld(sigma, cells, interval) for sigma, cells in cells_of),
    )
    rough = [cells for sigma, cells in cells_of if sigma < SMALLEST_SMOOTH]
    usable_delta = _usable(delta, len(cells_of) + len(rough), sum(rough))
    return _epsilon(total.get_delta_for_epsilon, usable_delta)


def _epsilon(curve: Curve, delta: float) -> float:
    """The smallest ε with curve(ε) <= δ, at most 1e-9 (relative) too large."""
    if curve(0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while curve(high) > delta:
        low, high = high, 2 * high
        if high > 1e9:
            return math.inf
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if curve(middle) <= delta:
            high = middle
        else:
            low = middle
    return high


def _continuous_guess(epsilon: float, delta: float, cells: int) -> float:
    """σ of the continuous Gaussian mechanism (Balle and Wang 2018, Theorem 8), to 1e-7."""
    from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss

    low, high = 1e-3, 1e7  # of σ / √cells
    while high > low * (1 + 1e-7):
        middle = math.sqrt(low * high)
        if GaussianPrivacyLoss(middle).get_delta_for_epsilon(epsilon) <= delta:
            high = middle
        else:
            low = middle
    return high * math.sqrt(cells)


def _first(holds: Callable[[int], bool], guess: int) -> int:
    """The smallest whole number for which a monotone condition holds, searched from a guess."""
    step = 1
    low = high = max(guess, 1)
    if holds(high):
        while low > 0 and holds(low):
            low, high, step = low - step, low, 2 * step
        low = max(low, 0)
    else:
        while not holds(high):
            low, high, step = high, high + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
