"""Real draws against the exact distribution; false alarms once in a million runs of each test."""

import math

import numpy as np
import pytest
from scipy import stats

from pe_engine.privacy.mechanism import discrete_gaussian

DRAWS = 50_000
FALSE_ALARM = 1e-6


def noise(sigma: float, draws: int = DRAWS) -> np.ndarray:
    return discrete_gaussian(np.zeros(draws, np.int64), sigma)


@pytest.mark.parametrize("sigma", [1.3411, 11.7972, 1000.0])
def test_the_variance_is_sigma_squared(sigma):
    statistic = np.sum(noise(sigma).astype(float) ** 2) / sigma**2
    low, high = stats.chi2(DRAWS).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
    assert low < statistic < high


@pytest.mark.parametrize("sigma", [0.5, 3.7405])
def test_each_value_is_as_frequent_as_its_exact_mass(sigma):
    values = np.arange(-math.ceil(12 * sigma), math.ceil(12 * sigma) + 1)
    mass = np.exp(-(values**2) / (2 * sigma**2))
    mass /= mass.sum()
    seen = np.bincount(noise(sigma) - values[0], minlength=len(values))
    common = mass * DRAWS >= 10
    observed = np.append(seen[common], seen[~common].sum())
    expected = np.append(mass[common], mass[~common].sum()) * DRAWS
    if expected[-1] < 10:  # too rare for a bin of its own: into the nearest one
        observed = np.append(observed[1:-1], observed[0] + observed[-1])
        expected = np.append(expected[1:-1], expected[0] + expected[-1])
    assert stats.chisquare(observed, expected).pvalue > FALSE_ALARM


def test_cells_with_and_without_votes_get_independent_noise():
    counts = np.zeros(DRAWS, np.int64)
    counts[::2] = 1_000_000
    noises = discrete_gaussian(counts, 50.0) - counts
    low, high = stats.chi2(DRAWS // 2).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
    for cells in (noises[::2], noises[1::2]):
        assert low < np.sum(cells.astype(float) ** 2) / 50.0**2 < high
    assert abs(np.corrcoef(noises[::2], noises[1::2])[0, 1]) < 5 / math.sqrt(DRAWS // 2)


def test_two_releases_share_no_noise_even_with_numpys_generators_seeded_alike():
    np.random.seed(0)
    first = noise(100.0)
    np.random.seed(0)
    second = noise(100.0)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(DRAWS)


def test_the_result_is_int64_and_the_counts_are_untouched():
    counts = np.array([5, 0, 7], np.int32)
    noisy = discrete_gaussian(counts, 1e6)
    assert noisy.dtype == np.int64
    assert noisy.shape == (3,)
    assert counts.tolist() == [5, 0, 7]
    assert discrete_gaussian(np.zeros(0, np.int64), 1.0).shape == (0,)


@pytest.mark.parametrize("counts", [np.zeros(3), np.zeros((2, 2), np.int64), np.zeros(3, bool)])
def test_only_one_dimensional_integers_are_accepted(counts):
    with pytest.raises(TypeError, match="integers"):
        discrete_gaussian(counts, 1.0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, 1e8])
def test_a_noise_multiplier_out_of_range_is_refused(sigma):
    with pytest.raises(ValueError, match="noise multiplier"):
        discrete_gaussian(np.zeros(3, np.int64), sigma)


def test_counts_that_could_overflow_are_refused_without_being_named():
    with pytest.raises(ValueError, match="2\\^53") as caught:
        discrete_gaussian(np.array([2**60 + 12345]), 1.0)
    assert "12345" not in str(caught.value)
