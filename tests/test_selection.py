"""Selection: from noisy votes to parents."""

import numpy as np
import pytest

from pe_engine.selection import (
    default_threshold,
    effective_number,
    select_parents,
    selection_probabilities,
)


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


@pytest.mark.parametrize("method", ["proportional", "rank"])
@pytest.mark.parametrize("n", [1, 7, 100])
def test_probabilities_are_the_share_of_draws_that_is_expected(method, n):
    votes = np.array([9, -1, 7, 8, 2, 3])
    expected = selection_probabilities(votes, 2.0, method, n)
    source = np.random.default_rng(3)
    draws = [select_parents(votes, 2.0, n, method, source).parents for _ in range(3000)]
    drawn = np.bincount(np.concatenate(draws), minlength=6) / (3000 * n)
    np.testing.assert_allclose(drawn, expected, atol=0.03)
    assert expected.sum() == pytest.approx(1)
    assert (expected[votes <= 2] == 0).all()


def test_without_votes_over_the_threshold_all_are_equally_likely():
    for method in ("proportional", "rank"):
        chosen = selection_probabilities(np.array([1, 0, -3, 2]), 2.0, method, 8)
        assert chosen.tolist() == [0.25] * 4


def test_the_effective_number_keeps_its_laws():
    source = np.random.default_rng(4)
    for n in (1, 2, 10, 1000):
        assert effective_number(np.full(n, 1 / n)) == pytest.approx(n)
        assert effective_number(np.eye(n)[0]) == pytest.approx(1)
        p = source.dirichlet(np.full(n, 0.3))
        number = effective_number(p)
        assert 1 - 1e-9 <= number <= n + 1e-9
        assert number <= np.count_nonzero(p) + 1e-9
        assert effective_number(source.permutation(p)) == pytest.approx(number)
        assert effective_number(np.append(p, 0)) == pytest.approx(number)
        twins = np.concatenate([p, p]) / 2  # the replication principle of Hill numbers
        assert effective_number(twins) == pytest.approx(2 * number)
