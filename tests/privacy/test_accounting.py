"""ε and σ against the published table, against a direct convolution, and against their own laws."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe_engine.errors import ConfigError
from pe_engine.privacy import accounting
from pe_engine.privacy.accounting import (
    Charge,
    accountant_name,
    composed_epsilon,
    epsilon_prefixes,
    epsilon_spent,
    noise_multiplier,
)

EPSILONS = st.floats(math.log(0.01), math.log(100)).map(math.exp).map(lambda e: min(e, 100.0))
DELTAS = st.floats(-12, -1).map(lambda x: min(max(10.0**x, 1e-12), 0.1))


def sum_of_noises(sigma: float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and masses of a sum of discrete Gaussians, by convolving integers."""
    reach = math.ceil(12 * sigma)
    x = np.arange(-reach, reach + 1)
    one = np.exp(-(x**2) / (2 * sigma**2))
    one /= one.sum()
    mass = np.ones(1)
    for _ in range(cells):
        mass = np.convolve(mass, one)
    s = np.arange(len(mass)) - len(mass) // 2
    return s[mass > 1e-22], mass[mass > 1e-22]


def direct_epsilon(delta: float, *groups: tuple[float, int]) -> float:
    """ε at δ of groups (σ, cells) of cells that all move by 1, from the definition."""
    losses, masses = np.zeros(1), np.ones(1)
    for sigma, cells in groups:
        s, mass = sum_of_noises(sigma, cells)
        losses = np.add.outer(losses, (cells / 2 - s) / sigma**2).ravel()
        masses = np.multiply.outer(masses, mass).ravel()
    low, high = 0.0, losses.max()
    for _ in range(60):
        middle = (low + high) / 2
        beyond = losses > middle
        enough = masses[beyond] @ -np.expm1(middle - losses[beyond]) <= delta
        low, high = (low, middle) if enough else (middle, high)
    return high


def slack(delta: float) -> float:
    """How much too large ε may be, relative: at the smallest δ rounding takes a part of it."""
    return 2e-3 if delta < 1e-9 else 1e-5


@pytest.mark.parametrize(
    ("epsilon", "iterations", "add_remove", "replace"),
    [
        (1.0, 10, 11.7972, 16.6840),
        (0.67, 5, 12.0257, 17.0061),
        (0.67, 10, 17.0061, 24.0503),
        (0.67, 20, 24.0503, 34.0121),
        (8.0, 5, 1.3411, 1.8982),
    ],
)
def test_known_noise_multipliers(epsilon, iterations, add_remove, replace):
    assert noise_multiplier(epsilon, 1e-5, iterations) == add_remove
    assert noise_multiplier(epsilon, 1e-5, iterations, 1, "replace") == replace


@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.05])
@pytest.mark.parametrize(
    ("sigma", "cells"), [(0.5, 1), (0.5, 10), (1.0, 30), (1.29, 4), (1.31, 4), (2.0, 100), (30, 9)]
)
def test_epsilon_is_that_of_a_direct_convolution(sigma, cells, delta):
    truth = direct_epsilon(delta, (sigma, cells))
    assert truth - 1e-9 <= epsilon_spent(sigma, delta, cells) <= truth * (1 + slack(delta))


@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.01])
@pytest.mark.parametrize(
    "groups", [[(11.7972, 10), (17.0, 10)], [(1.0, 3), (5.0, 10)], [(0.5, 2), (0.9, 3)]]
)
def test_composition_of_two_noises_is_that_of_a_direct_convolution(groups, delta):
    truth = direct_epsilon(delta, *groups)
    charges = [Charge(sigma, 1, cells) for sigma, cells in groups]
    assert truth <= composed_epsilon(charges, delta) <= truth * (1 + slack(delta))


@settings(deadline=None, max_examples=60)
@given(st.floats(0.01, 12), st.floats(20, 400), DELTAS)
def test_the_continuous_limit_is_on_the_safe_side(mu, tau, delta):
    cells = math.ceil(mu * tau)
    sigma = max(tau / math.sqrt(cells), accounting.SMALLEST_SMOOTH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounting, "LATTICE_LIMIT", 1e9)
        exact = accounting._loss_of_sum(sigma, cells)
        patch.setattr(accounting, "LATTICE_LIMIT", 0)
        limit = accounting._loss_of_sum(sigma, cells)
    epsilon = accounting._epsilon(exact.get_delta_for_epsilon, delta)
    for near in (epsilon, epsilon + 0.3 / sigma**2, epsilon + 0.6 / sigma**2, 1.01 * epsilon):
        truth = exact.get_delta_for_epsilon(near)
        assert truth <= limit.get_delta_for_epsilon(near) <= truth * (1 + 50 / tau**2) + 1e-15


@settings(deadline=None, max_examples=40)
@given(EPSILONS, DELTAS, st.integers(1, 200), st.sampled_from([1, 2, 100]), st.sampled_from([0, 1]))
def test_the_noise_keeps_the_budget_and_two_steps_less_break_it(epsilon, delta, t, k, replace):
    releases = delta, t, k, accounting.ADJACENCIES[replace]
    sigma = noise_multiplier(epsilon, *releases)
    assert sigma == round(sigma, 4)
    assert epsilon_spent(sigma, *releases) <= epsilon
    assert epsilon_spent(round(sigma - 2e-4, 4), *releases) > epsilon


@settings(deadline=None, max_examples=20)
@given(EPSILONS, DELTAS, st.integers(1, 199))
def test_more_budget_needs_less_noise_and_more_votings_need_more(epsilon, delta, t):
    sigma = noise_multiplier(epsilon, delta, t)
    assert noise_multiplier(min(1.1 * epsilon, 100.0), delta, t) <= sigma
    assert noise_multiplier(epsilon, min(1.5 * delta, 0.1), t) <= sigma
    assert noise_multiplier(epsilon, delta, t + 1) >= sigma


@pytest.mark.parametrize("epsilon", [0.01, 100.0])
@pytest.mark.parametrize("delta", [1e-12, 0.1])
@pytest.mark.parametrize("releases", [(1, 1, "add-remove"), (200, 100, "replace")])
def test_the_corners_of_the_ranges_take_few_evaluations(epsilon, delta, releases, monkeypatch):
    calls = []
    curve = accounting._curve
    monkeypatch.setattr(accounting, "_curve", lambda *a: calls.append(a) or curve(*a))
    sigma = noise_multiplier.__wrapped__(epsilon, delta, *releases)
    assert epsilon_spent(sigma, delta, *releases) <= epsilon
    assert len(calls) < 60


def test_replacing_costs_as_much_as_twice_the_votes():
    assert epsilon_spent(9.0, 1e-5, 5, 3, "replace") == epsilon_spent(9.0, 1e-5, 5, 6)


def test_prefixes_end_at_the_whole_and_rise():
    prefixes = epsilon_prefixes(11.7972, 1e-5, 10)
    assert len(prefixes) == 10
    assert prefixes[-1] == epsilon_spent(11.7972, 1e-5, 10) <= 1.0
    assert all(a < b for a, b in pairwise(prefixes))


def test_nothing_spent_is_zero_and_equal_noise_adds_up_exactly():
    assert composed_epsilon([], 1e-5) == 0.0
    assert composed_epsilon([Charge(5.0, 1, 0)], 1e-5) == 0.0
    parts = [Charge(11.7972, 1, 4), Charge(11.7972, 2, 3)]
    assert composed_epsilon(parts, 1e-5) == epsilon_spent(11.7972, 1e-5, 10)
    assert composed_epsilon(parts, 1e-5, "replace") == epsilon_spent(11.7972, 1e-5, 20)


def test_composing_costs_more_than_each_and_less_than_the_sum():
    one, other = Charge(12.0, 1, 5), Charge(700.0, 2, 200)
    together = composed_epsilon([one, other], 1e-5)
    assert composed_epsilon([one], 1e-5) < together
    assert together < composed_epsilon([one], 5e-6) + composed_epsilon([other], 5e-6)


@pytest.mark.parametrize(
    ("call", "value", "bound"),
    [
        (lambda: noise_multiplier(0.009, 1e-5, 5), "0.009", "0.01"),
        (lambda: noise_multiplier(100.1, 1e-5, 5), "100.1", "100"),
        (lambda: noise_multiplier(math.nan, 1e-5, 5), "nan", "100"),
        (lambda: noise_multiplier(1.0, 1e-13, 5), "1e-13", "1e-12"),
        (lambda: noise_multiplier(1.0, 1.0, 5), " 1,", "0.1"),
        (lambda: noise_multiplier(1.0, 1e-5, 0), "0", "1 to 200"),
        (lambda: noise_multiplier(1.0, 1e-5, 201), "201", "1 to 200"),
        (lambda: noise_multiplier(1.0, 1e-5, 5, 0), "0", "1 to 100"),
        (lambda: noise_multiplier(1.0, 1e-5, 5, 1, "swap"), "swap", "replace"),
        (lambda: epsilon_spent(0.0, 1e-5, 5), " 0,", "0.05"),
        (lambda: epsilon_spent(-1.0, 1e-5, 5), " -1,", "0.05"),
        (lambda: epsilon_spent(math.inf, 1e-5, 5), "inf", "1e+07"),
        (lambda: epsilon_prefixes(5.0, 1e-5, 201), "201", "1 to 200"),
        (lambda: composed_epsilon([], 0.5), "0.5", "0.1"),
        (lambda: composed_epsilon([], 1e-5, "swap"), "swap", "replace"),
    ],
)
def test_out_of_range_names_the_value_and_the_bound(call, value, bound):
    with pytest.raises(ConfigError) as caught:
        call()
    assert value in str(caught.value)
    assert bound in str(caught.value)


def test_absurdly_little_noise_is_answered_too():
    assert epsilon_spent(0.05, 1e-5, 200, 100, "replace") > 1e5
    assert composed_epsilon([Charge(0.05, 100, 200), Charge(1e6, 1, 1)], 1e-5) > 1e5


def test_the_accountant_is_named_with_its_version():
    import dp_accounting  # noqa: F401 - the name must be that of the library in use

    assert accountant_name().startswith("dp-accounting 0.")
