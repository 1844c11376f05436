"""Voting: exact, independent of batches and libraries, with the sensitivity it claims."""

import numpy as np
import pytest

from pe_engine import voting
from pe_engine.counting import count_by_image
from pe_engine.voting import QUERY_BATCH, nearest_candidates


def count(private, candidates, k=1, metric="l2", search="faiss", rows=None):
    rows = np.arange(len(private)) if rows is None else rows
    choices = chosen(
        private, rows, candidates, neighbours=k, metric=metric, search=search, device="cpu"
    )
    assert choices.shape == (len(rows), k)
    return count_by_image(choices, len(candidates))


def chosen(*arguments, **settings):
    """The choices once all batches are through."""
    pauses = nearest_candidates(*arguments, **settings)
    while True:
        try:
            next(pauses)
        except StopIteration as end:
            return end.value


def by_definition(private, candidates, k, metric):
    """All distances in float64, sorted by distance and then by index."""
    x, y = private.astype(float), candidates.astype(float)
    if metric == "l2":
        distance = ((x[:, None] - y[None]) ** 2).sum(-1)
    else:
        if metric == "cosine":
            x = x / np.linalg.norm(x, axis=1, keepdims=True)
            y = y / np.linalg.norm(y, axis=1, keepdims=True)
        distance = -x @ y.T
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return np.bincount(nearest.ravel(), minlength=len(candidates))


@pytest.mark.parametrize("search", ["faiss", "torch"])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("k", [1, 3])
def test_counts_the_k_nearest(search, metric, k):
    rng = np.random.default_rng(0)
    private = rng.normal(size=(300, 20)).astype(np.float32)
    candidates = rng.normal(size=(70, 20)).astype(np.float32)
    counts = count(private, candidates, k, metric, search)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, by_definition(private, candidates, k, metric))


@pytest.mark.parametrize("search", ["faiss", "torch"])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_ties_go_to_the_lowest_index(search, k):
    # corners of a cube: almost every distance is tied with others, many candidates are equal
    rng = np.random.default_rng(1)
    private = rng.integers(0, 2, (200, 6)).astype(np.float32)
    candidates = rng.integers(0, 2, (90, 6)).astype(np.float32)
    counts = count(private, candidates, k, "l2", search)
    np.testing.assert_array_equal(counts, by_definition(private, candidates, k, "l2"))


def test_near_ties_are_decided_beyond_float32():
    # around a large offset float32 cannot tell the two candidates apart; float64 can
    candidates = np.full((2, 64), 1000.0, np.float32)
    candidates[0, 0] += 0.02
    candidates[1, 1] += 0.01
    private = np.full((50, 64), 1000.0, np.float32)
    for search in ("faiss", "torch"):
        assert count(private, candidates, 1, "l2", search).tolist() == [0, 50]


def test_a_row_votes_the_same_in_any_company():
    rng = np.random.default_rng(2)
    candidates = rng.random((400, 50), dtype=np.float32)
    private = rng.random((QUERY_BATCH + 700, 50), dtype=np.float32)
    together = count(private, candidates)
    one_less = count(private, candidates, rows=np.arange(1, len(private)))
    alone = count(private[:1], candidates)
    np.testing.assert_array_equal(together - one_less, alone)
    shuffled = count(private[rng.permutation(len(private))], candidates)
    np.testing.assert_array_equal(together, shuffled)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_one_image_moves_k_counts_by_one(k):
    rng = np.random.default_rng(3)
    candidates = rng.normal(size=(40, 8)).astype(np.float32)
    private = rng.normal(size=(60, 8)).astype(np.float32)
    change = count(private, candidates, k) - count(private[1:], candidates, k)
    assert sorted(change.tolist(), reverse=True)[: k + 1] == [1] * k + [0]
    assert np.linalg.norm(change) == pytest.approx(np.sqrt(k))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_a_feature_that_is_not_finite_casts_no_vote(value):
    rng = np.random.default_rng(4)
    private = rng.normal(size=(10, 4)).astype(np.float32)
    candidates = rng.normal(size=(6, 4)).astype(np.float32)
    broken = private.copy()
    broken[3, 2] = value
    np.testing.assert_array_equal(
        count(broken, candidates), count(np.delete(private, 3, axis=0), candidates)
    )


def test_a_class_without_private_images_has_no_votes():
    candidates = np.eye(5, dtype=np.float32)
    assert count(np.empty((0, 5), np.float32), candidates).tolist() == [0] * 5


def test_every_search_has_the_same_shape(monkeypatch):
    shapes = set()
    build = voting._faiss_search

    def spy(*arguments):
        search = build(*arguments)

        def recorded(queries, wanted):
            shapes.add(queries.shape)
            return search(queries, wanted)

        return recorded

    monkeypatch.setattr(voting, "_faiss_search", spy)
    rng = np.random.default_rng(5)
    candidates = rng.random((30, 4), dtype=np.float32)
    for private_images in (1, 17, QUERY_BATCH, QUERY_BATCH + 1):
        count(rng.random((private_images, 4), dtype=np.float32), candidates)
    assert shapes == {(QUERY_BATCH, 4)}


def test_it_pauses_after_every_batch():
    rng = np.random.default_rng(6)
    private = rng.random((2 * QUERY_BATCH + 1, 4), dtype=np.float32)
    pauses = nearest_candidates(
        private,
        np.arange(len(private)),
        rng.random((30, 4), dtype=np.float32),
        neighbours=1,
        metric="l2",
        search="faiss",
        device="cpu",
    )
    assert sum(1 for _ in pauses) == 3
