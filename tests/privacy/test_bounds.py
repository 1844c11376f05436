"""The bounds that canaries give, against simulation, tables and each other."""

import math

import numpy as np
import pytest
from scipy import stats

from pe_engine.audit import bounds
from pe_engine.audit.bounds import Guesses


@pytest.mark.parametrize(
    ("mu", "epsilon", "delta"), [(1.0, 1.0, 0.126937), (0.5, 1.0, 0.006830), (2.0, 0.0, 0.682689)]
)
def test_delta_of_a_gaussian_mechanism(mu, epsilon, delta):
    assert bounds.delta_of(mu, epsilon) == pytest.approx(delta, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0, 50.0])
@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.1])
def test_mu_and_epsilon_are_each_others_inverse(epsilon, delta):
    mu = bounds.mu_of(epsilon, delta)
    assert bounds.epsilon_of(mu, delta) == pytest.approx(epsilon, rel=1e-6)


def test_five_votings_at_the_published_noise_are_epsilon_8():
    assert bounds.epsilon_of(math.sqrt(5) / 1.342153, 1e-5) == pytest.approx(8.0, abs=1e-4)


def test_nothing_is_proven_by_nothing():
    assert bounds.epsilon_of(-0.3, 1e-5) == 0.0
    assert bounds.lower_mu(Guesses(0, 100, 0, 100), 1e-4) < 0
    assert bounds.lower_mu(Guesses(100, 100, 100, 100), 1e-4) < 0
    assert bounds.one_run_epsilon(50, 100, 100, 1e-5, 0.05) == 0.0


def test_the_bound_on_mu_is_exceeded_as_often_as_allowed():
    rng = np.random.default_rng(0)
    mu, n, alarms = 1.0, 400, 0
    for _ in range(400):
        guessed = rng.normal(mu, 1, n) > mu / 2, rng.normal(0, 1, n) > mu / 2
        counted = Guesses(int(guessed[0].sum()), n, int(guessed[1].sum()), n)
        alarms += bounds.lower_mu(counted, 0.1) > mu
    assert alarms <= stats.binom.isf(1e-6, 400, 0.1)


def test_more_right_guesses_prove_more():
    proven = [bounds.one_run_epsilon(v, 100, 1_000, 1e-5, 0.05) for v in (60, 80, 95, 100)]
    assert proven == sorted(proven)
    assert proven[-1] > 3
    # with δ = 0 it is the exact bound of a binomial
    q = stats.beta.ppf(0.05, 95, 100 - 95 + 1)
    plain = bounds.one_run_epsilon(95, 100, 1_000, 0.0, 0.05)
    assert plain == pytest.approx(math.log(q / (1 - q)), abs=1e-3)
