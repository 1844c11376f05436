"""What a budget buys, as laws: more budget or more images never ask for less."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe_engine import advice, statement
from pe_engine.config import MAX_SAMPLES
from pe_engine.errors import ConfigError
from pe_engine.privacy.accounting import noise_multiplier
from pe_engine.selection import default_threshold

EPSILONS = (0.05, 0.3, 0.9, 1.0, 1.4, 5.0, 20.0)
IMAGES = (30, 700, 5000, 6500, 10**8)


def samples(images, epsilon, **more):
    found = advice.suggest(images, epsilon, 1e-6, **more)
    return found.samples if found else 0


@pytest.mark.parametrize("images", IMAGES)
def test_more_epsilon_never_asks_for_fewer_samples_or_iterations(images):
    found = [advice.suggest(images, e, 1e-6) or advice.Advice(0, 0) for e in EPSILONS]
    assert found == sorted(found, key=lambda a: a.samples)
    assert found == sorted(found, key=lambda a: a.iterations)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_more_images_never_ask_for_fewer(epsilon):
    found = [samples(n, epsilon) for n in IMAGES]
    assert found == sorted(found)
    assert max(found) <= MAX_SAMPLES


@given(st.integers(1, 10**6), st.sampled_from(EPSILONS))
@settings(max_examples=25, deadline=None)
def test_an_average_candidate_passes_the_threshold_by_one_sigma(images, epsilon):
    found = advice.suggest(images, epsilon, 1e-6)
    if found is None:
        return
    sigma = noise_multiplier(epsilon, 1e-6, found.iterations)
    votes = advice.expected_votes(images, 1, found.samples)
    # The iterations are rounded, and below 1 vote σ rises faster than √T
    assert votes >= 0.8 * (default_threshold(sigma) + sigma)


def test_figures_known_from_elsewhere():
    assert advice.suggest(5000, 1.0, 1e-5) == advice.Advice(300, 5)  # the preset of handwriting
    assert 5 <= advice.suggest(50_000, 0.67, 1e-5).iterations <= 7  # the paper: 7
    assert advice.suggest(20, 1.0, 1e-5) is None


def test_a_stronger_promise_or_more_votes_for_the_same_budget():
    assert samples(5000, 1.0, adjacency="replace") < samples(5000, 1.0)
    assert samples(5000, 1.0, votes=4) > samples(5000, 1.0)  # √4 more noise, 4 times the votes


@pytest.mark.parametrize(
    ("epsilon", "word"),
    [
        *((0.1, "strong"), (1.0, "strong"), (1.01, "reasonable"), (2.94, "reasonable")),
        *((2.95, "weak"), (5.0, "weak"), (20.0, "weak")),
    ],
)
def test_what_an_epsilon_is_called(epsilon, word):
    assert advice.tier(epsilon, 1e-5) == word
    assert (word == "weak") == statement.is_weak(epsilon, 1e-5)  # so says the report


def test_delta_is_held_against_one_image():
    assert advice.largest_delta(5000) == pytest.approx(2e-4)


@pytest.mark.parametrize("images", [0, -3, 1.5, True, 10**13])
def test_a_number_of_images_must_make_sense(images):
    for asked in (advice.largest_delta, lambda n: advice.suggest(n, 1.0, 1e-5)):
        with pytest.raises(ConfigError, match="number of images"):
            asked(images)
