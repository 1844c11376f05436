"""The nearest images of a pool: against brute force, in order, whatever else is asked for."""

import numpy as np
import pytest

from pe_engine.generators.pool_search import ANY, UNREADABLE, PoolSearch


class InMemory:
    def __init__(self, features):
        self.features = features
        self.dimension = features.shape[1]
        self.read = 0

    def rows(self, places):
        self.read += 1
        return self.features[places]


def similarities(metric, features):
    """float64 ``(M, M)``, the larger the nearer."""
    x = features.astype(np.float64)
    if metric == "l2":
        return -((x[:, None] - x[None]) ** 2).sum(-1)
    if metric == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_the_search_agrees_with_brute_force_block_after_block(metric, monkeypatch):
    monkeypatch.setattr("pe_engine.generators.pool_search._MOST_IN_BLOCK", 37)
    rng = np.random.default_rng(0)
    features = rng.normal(1, 1, (500, 20)).astype(np.float32)
    classes = rng.integers(UNREADABLE, 3, 500)
    search = PoolSearch(InMemory(features), classes, metric, "cpu")
    places = np.flatnonzero(classes != UNREADABLE)[:200]
    asked = np.where(np.arange(200) % 2, classes[places], ANY)
    lists = search.neighbours(places, asked, np.full(200, 50))
    similarity = similarities(metric, features)
    np.fill_diagonal(similarity, np.inf)
    for place, wanted, found in zip(places, asked, lists, strict=True):
        fits = classes == wanted if wanted != ANY else classes != UNREADABLE
        fits[place] = True
        order = np.argsort(-np.where(fits, similarity[place], -np.inf))
        np.testing.assert_array_equal(found[:50], order[:50])


@pytest.mark.parametrize("block", [170, 600])
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_of_images_that_are_equally_near_the_first_of_the_pool_comes_first(
    metric, block, monkeypatch
):
    monkeypatch.setattr("pe_engine.generators.pool_search._MOST_IN_BLOCK", block)
    rng = np.random.default_rng(0)
    features = rng.integers(0, 3, (60, 8))[rng.integers(0, 60, 600)].astype(np.float32)
    similarity = similarities(metric, features)  # whole numbers, so that equal ones are equal
    np.fill_diagonal(similarity, np.inf)
    expected = np.argsort(-similarity, axis=1, kind="stable")
    for count in (*range(2, 40), 100, 200, 600):
        search = PoolSearch(InMemory(features), np.zeros(600, np.int64), metric, "cpu")
        found = search.neighbours(np.arange(600), np.full(600, ANY), np.full(600, count))
        np.testing.assert_array_equal(found, expected[:, :count])


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_neighbours_do_not_depend_on_what_else_was_asked_for(metric, monkeypatch):
    monkeypatch.setattr("pe_engine.generators.pool_search._MOST_IN_BLOCK", 333)
    rng = np.random.default_rng(0)
    features = rng.random((100, 20))[rng.integers(0, 100, 1000)].astype(np.float32)
    classes = rng.integers(0, 2, 1000)

    def search():
        return PoolSearch(InMemory(features), classes, metric, "cpu")

    places = np.arange(300)
    asked = np.where(places % 3, ANY, classes[:300])
    before = search()
    before.neighbours(places, asked, np.full(300, 150))
    warm = before.neighbours(places, asked, np.full(300, 12))
    cold = search().neighbours(places, asked, np.full(300, 12))
    shuffled = rng.permutation(300)
    mixed = search().neighbours(places[shuffled], asked[shuffled], 12 + shuffled % 50)
    few = search().neighbours(places[50:53], asked[50:53], np.full(3, 40))
    np.testing.assert_array_equal([row[:12] for row in warm], cold)
    np.testing.assert_array_equal([row[:12] for row in mixed], np.array(cold)[shuffled])
    np.testing.assert_array_equal([row[:12] for row in few], cold[50:53])


def test_what_was_found_is_remembered_within_bounds(monkeypatch):
    features = InMemory(np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    search = PoolSearch(features, np.zeros(100, np.int64), "l2", "cpu")
    some, everything = np.arange(10), np.full(10, ANY)
    first = search.neighbours(some, everything, np.full(10, 8))
    read = features.read
    again = search.neighbours(some[::-1], everything, np.full(10, 5))
    assert features.read == read
    np.testing.assert_array_equal(first[0], again[-1])
    further = search.neighbours(some, everything, np.full(10, 20))
    assert features.read > read
    np.testing.assert_array_equal(further[0][:8], first[0])
    monkeypatch.setattr("pe_engine.generators.pool_search._MOST_KEPT", 100)
    for start in range(0, 100, 10):
        search.neighbours(start + some, everything, np.full(10, 30))
        assert sum(map(len, search._known.values())) == search._kept <= 100
