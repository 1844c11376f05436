"""No way leads to a negative, infinite or unnamed amount of privacy."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.privacy.accounting import composed_epsilon, epsilon_spent, noise_multiplier

GOOD = RunConfig(dataset_name="d")
NO_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, None, "1", True, 1 + 0j])
BAD_EPSILONS = st.floats(max_value=0.0) | st.floats(min_value=100.001) | NO_NUMBERS
BAD_DELTAS = st.floats(max_value=0.0) | st.floats(min_value=0.11) | NO_NUMBERS
BAD_COUNTS = st.integers(max_value=0) | st.integers(min_value=201) | st.floats() | NO_NUMBERS


@given(BAD_EPSILONS)
def test_epsilon_must_be_positive_and_finite(epsilon):
    with pytest.raises(ConfigError, match="epsilon"):
        replace(GOOD, epsilon=epsilon)
    with pytest.raises(ConfigError, match="epsilon"):
        noise_multiplier(epsilon, 1e-5, 5)
    if epsilon is not None:  # None is no cap
        with pytest.raises(ConfigError, match="cap"):
            replace(GOOD, epsilon_cap=epsilon)


@given(BAD_DELTAS)
def test_delta_must_lie_between_0_and_1_and_mean_something(delta):
    with pytest.raises(ConfigError, match="delta"):
        replace(GOOD, delta=delta)
    with pytest.raises(ConfigError, match="delta"):
        noise_multiplier(1.0, delta, 5)
    with pytest.raises(ConfigError, match="delta"):
        epsilon_spent(5.0, delta, 5)
    with pytest.raises(ConfigError, match="delta"):
        composed_epsilon([], delta)


@given(BAD_COUNTS)
def test_votings_and_votes_are_counted_in_whole_numbers(count):
    for name in ("iterations", "neighbours", "person_votes"):
        with pytest.raises(ConfigError):
            replace(GOOD, persons="folder", **{name: count})
    with pytest.raises(ConfigError):
        noise_multiplier(1.0, 1e-5, count)
    with pytest.raises(ConfigError):
        noise_multiplier(1.0, 1e-5, 5, count)


@given(st.floats(max_value=0.0) | NO_NUMBERS)
def test_noise_must_be_positive_and_finite(sigma):
    with pytest.raises(ConfigError, match="noise multiplier"):
        epsilon_spent(sigma, 1e-5, 5)
