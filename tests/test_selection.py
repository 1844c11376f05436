"""Selection: from noisy votes to parents."""

import numpy as np
import pytest

from pe_engine.selection import default_threshold, select_parents


def rng():
    return np.random.default_rng(0)


def test_draws_in_proportion_to_the_votes_over_the_threshold():
    noisy_votes = np.array([-5, 3, 10, 4, 20])
    chosen = select_parents(noisy_votes, 2.0, 28, "proportional", rng())
    # over the threshold: 0, 1, 8, 2, 18 of 29; each is drawn floor or ceil of its share
    drawn = np.bincount(chosen.parents, minlength=5)
    expected = 28 * np.array([0, 1, 8, 2, 18]) / 29
    assert (np.abs(drawn - expected) < 1).all()
    assert drawn.sum() == 28
    assert not chosen.uniform
    assert (np.diff(chosen.parents) >= 0).all()


def test_the_expected_number_of_draws_is_exactly_proportional():
    votes = np.array([1.0, 2.0, 4.0, 0.0])
    source = np.random.default_rng(1)
    drawn = sum(
        np.bincount(select_parents(votes, 0.0, 3, "proportional", source).parents, minlength=4)
        for _ in range(4000)
    )
    np.testing.assert_allclose(drawn / 4000, 3 * votes / votes.sum(), atol=0.03)


def test_rank_takes_the_best_first_and_again_from_the_top():
    noisy_votes = np.array([9, -1, 7, 8, 2])
    chosen = select_parents(noisy_votes, 2.0, 2, "rank", rng())
    assert chosen.parents.tolist() == [0, 3]
    chosen = select_parents(noisy_votes, 2.0, 7, "rank", rng())
    assert chosen.parents.tolist() == [0, 0, 0, 2, 2, 3, 3]


@pytest.mark.parametrize("method", ["proportional", "rank"])
def test_draws_uniformly_when_no_vote_passes_the_threshold(method):
    chosen = select_parents(np.array([1, 0, -3, 2]), 2.0, 8, method, rng())
    assert chosen.uniform
    assert np.bincount(chosen.parents).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_never_draws_a_candidate_without_weight(size):
    source = np.random.default_rng(2)
    for _ in range(200):
        votes = source.integers(-3, 4, 50)
        if not (votes > 1).any():
            continue
        parents = select_parents(votes, 1.0, size, "proportional", source).parents
        assert len(parents) == size
        assert (votes[parents] > 1).all()


def test_default_threshold_is_one_sigma():
    assert default_threshold(4.2) == 4.2
