"""Look-ahead children: what is voted on, and that the same ones can be had again."""

import numpy as np
import pytest

from pe_engine.embedders.pixels import Pixels
from pe_engine.evolution import occurrences
from pe_engine.generators.text_render import TextRender
from pe_engine.offspring import Offspring, add_groups, batches
from pe_engine.population import Population, take_rows

N, L = 5, 3


@pytest.fixture(scope="module")
def generator():
    """Asked for 4 images at once, so that batches do not end where a candidate's children do."""
    generator = TextRender(28, "cpu")
    generator.batch_size = 4
    return generator


@pytest.fixture
def offspring(generator):
    state = generator.random(["7"] * N, [""] * N, np.random.default_rng(0))
    zeros = np.zeros(N, np.int64)
    candidates = Population(generator.render(state), zeros, zeros - 1, state)
    embedder = Pixels(28, "cpu", grey=True)
    rng = lambda batch: np.random.default_rng([3, batch])  # noqa: E731
    return Offspring(generator, embedder, candidates, 0.5, L, rng)


def finish(work):
    """What a generator returns, and all that it yields."""
    said = []
    while True:
        try:
            said.append(next(work))
        except StopIteration as end:
            return end.value, said


def children(offspring, jobs):
    """The states of these children, in the order of ``jobs``."""
    jobs = np.array(jobs)
    params = np.empty((len(jobs), offspring.candidates.state["params"].shape[1]), np.float32)
    for rows, state in offspring.recall(np.arange(len(jobs)), jobs):
        params[rows] = state["params"]
    return params


def test_a_candidate_is_the_mean_of_its_children(offspring, generator):
    features, said = finish(offspring.features())
    every = children(offspring, range(N * L))
    state = take_rows(offspring.candidates.state, np.repeat(np.arange(N), L))
    fonts = np.concatenate([s["font"] for _, s in offspring.recall(np.arange(15), np.arange(15))])
    images = generator.render({**state, "params": every, "font": fonts})
    expected = offspring.embedder.embed(images).reshape(N, L, -1).mean(1)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert [look.done for look in said] == [1, 2, 4, 5]
    assert [look.made for look in said] == [4, 4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([look.shown for look in said]), images)


def test_without_look_ahead_a_candidate_is_itself(offspring):
    offspring.copies = 0
    features, said = finish(offspring.features())
    np.testing.assert_array_equal(features, offspring.embedder.embed(offspring.candidates.images))
    assert {(look.made, look.shown) for look in said} == {(0, None)}


def test_children_voted_on_are_recalled_without_making_them_again(offspring, monkeypatch):
    finish(offspring.features())
    monkeypatch.setattr(offspring.generator, "vary", None)
    assert len(np.unique(children(offspring, [0, 7, 14]), axis=0)) == 3


def test_another_process_makes_the_same_children(offspring, generator):
    finish(offspring.features())
    again = Offspring(generator, offspring.embedder, offspring.candidates, 0.5, L, offspring.rng)
    jobs = [14, 0, 7, 8]
    np.testing.assert_array_equal(children(offspring, jobs), children(again, jobs))


def test_only_batches_with_a_wanted_child_are_made_again(offspring, monkeypatch):
    made = []
    vary = offspring.generator.vary

    def counting(state, degree, rng):
        made.append(len(state["text"]))
        return vary(state, degree, rng)

    monkeypatch.setattr(offspring.generator, "vary", counting)
    children(offspring, [5, 6, 14])
    assert made == [4, 3]


def test_batches_are_full_but_for_the_last():
    assert [len(b) for b in batches(np.arange(10), 4)] == [4, 4, 2]
    assert np.concatenate(batches(np.arange(10), 4)).tolist() == list(range(10))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("cut", [1, 2, 4, 5, 12])
def test_groups_are_added_wherever_batches_end(size, cut):
    rows = np.random.default_rng(0).normal(size=(12, 3))
    sums, expected = np.zeros((2, 12, 3))
    for start in range(0, 12, cut):
        add_groups(sums, rows[start : start + cut], start, size)
    np.add.at(expected, np.arange(12) // size, rows)
    np.testing.assert_allclose(sums, expected, atol=1e-12)


def test_occurrences_count_what_came_before():
    assert occurrences(np.array([7, 3, 7, 7, 3])).tolist() == [0, 0, 1, 2, 1]
    assert occurrences(np.array([], np.int64)).tolist() == []
    assert occurrences(np.array([0, 0, 0])).tolist() == [0, 1, 2]
