"""What one unit moves, searched for the worst over random data sets."""

import numpy as np
import pytest

from pe_engine.counting import count_by_image, count_by_person, draw_turns
from pe_engine.voting import nearest_candidates

CANDIDATES = 12


def end_of(pauses):
    while True:
        try:
            next(pauses)
        except StopIteration as end:
            return end.value


def data_set(rng, images):
    """Features, classes of two and persons of four, drawn; each class has half the candidates."""
    features = rng.normal(size=(images, 3)).astype(np.float32)
    return features, rng.integers(0, 2, images), rng.integers(0, 4, images)


def voted(features, classes, persons, most, k, generation=1):
    points = np.random.default_rng(7).normal(size=(CANDIDATES, 3)).astype(np.float32)
    choices = np.full((len(features), k), -1, np.int64)
    for c in range(2):
        ours, rows = np.arange(c, CANDIDATES, 2), np.flatnonzero(classes == c)
        how = {"neighbours": k, "metric": "l2", "search": "faiss", "device": "cpu"}
        chosen = end_of(nearest_candidates(features, rows, points[ours], **how))
        choices[rows] = np.where(chosen < 0, -1, ours[chosen])
    if most is None:
        return count_by_image(choices, CANDIDATES)
    turns = draw_turns(features, classes, generation)
    return count_by_person(choices, persons, turns, most, CANDIDATES)


def by_definition(choices, persons, turns, most):
    """Person by person, one vote after another."""
    counts = np.zeros(CANDIDATES, np.int64)
    for person in set(persons.tolist()):
        named = []
        rows = [i for i in range(len(persons)) if persons[i] == person]
        for i in sorted(rows, key=lambda i: tuple(turns[i].tolist())):
            named += [c for c in choices[i].tolist() if c >= 0 and c not in named]
        for candidate in named[:most]:
            counts[candidate] += 1
    return counts


@pytest.mark.parametrize("most", [1, 2, 5, 100])
@pytest.mark.parametrize("k", [1, 3])
def test_counts_what_is_defined(most, k):
    rng = np.random.default_rng(0)
    for images in (0, 1, 40):
        choices = np.array([rng.permutation(CANDIDATES)[:k] for _ in range(images)], np.int64)
        choices = choices.reshape(images, k)
        choices[rng.random(images) < 0.2] = -1
        persons = rng.integers(0, 5, images)
        turns = draw_turns(rng.normal(size=(images, 2)).astype(np.float32), persons, 3)
        counts = count_by_person(choices, persons, turns, most, CANDIDATES)
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, by_definition(choices, persons, turns, most))


@pytest.mark.parametrize("most", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 3])
def test_a_person_more_or_less_moves_at_most_c_counts_over_all_classes(most, k):
    rng = np.random.default_rng(1)
    moved = []
    for _ in range(20):
        features, classes, persons = data_set(rng, 25)
        whole = voted(features, classes, persons, most, k)
        for person in range(4):
            stay = persons != person
            change = whole - voted(features[stay], classes[stay], persons[stay], most, k)
            assert set(change.tolist()) <= {0, 1}
            moved.append(change.sum())
    assert max(moved) == most


@pytest.mark.parametrize("most", [1, 3])
def test_an_image_of_a_person_moves_at_most_2c_counts(most):
    rng = np.random.default_rng(2)
    moved = []
    for _ in range(60):
        features, classes, persons = data_set(rng, 12)
        whole = voted(features, classes, persons, most, 3)
        for place in range(12):
            less = voted(*(np.delete(a, place, 0) for a in (features, classes, persons)), most, 3)
            assert set((whole - less).tolist()) <= {-1, 0, 1}
            moved.append(np.abs(whole - less).sum())
    assert max(moved) == 2 * most


def test_where_every_image_has_its_own_person_it_votes_as_an_image():
    rng = np.random.default_rng(3)
    features, classes, _ = data_set(rng, 30)
    own = np.arange(30)
    np.testing.assert_array_equal(
        voted(features, classes, own, 3, 3), voted(features, classes, own, None, 3)
    )


def test_neither_the_order_of_files_nor_other_persons_decide_a_vote():
    rng = np.random.default_rng(4)
    features, classes, persons = data_set(rng, 40)
    features[5] = features[6]  # the same picture twice, in two classes, of one person
    classes[5], classes[6], persons[5], persons[6] = 0, 1, 2, 2
    whole = voted(features, classes, persons, 2, 3)
    for _ in range(20):
        order = rng.permutation(40)
        again = voted(features[order], classes[order], persons[order] * 10, 2, 3)
        np.testing.assert_array_equal(whole, again)
    parts = [persons == person for person in range(4)]
    alone = [voted(features[p], classes[p], persons[p], 2, 3) for p in parts]
    np.testing.assert_array_equal(whole, np.sum(alone, axis=0))


def test_over_the_generations_each_image_of_a_person_has_its_say():
    rng = np.random.default_rng(5)
    features = rng.normal(size=(4, 3)).astype(np.float32)
    classes, persons = np.zeros(4, np.int64), np.zeros(4, np.int64)
    first = [int(np.lexsort(draw_turns(features, classes, t).T[::-1])[0]) for t in range(1, 401)]
    assert min(np.bincount(first, minlength=4)) > 50
    assert len({tuple(voted(features, classes, persons, 1, 1, t)) for t in range(1, 60)}) > 1


def test_an_image_that_is_not_finite_takes_no_votes_of_its_person():
    rng = np.random.default_rng(6)
    features, classes, persons = data_set(rng, 20)
    broken = np.concatenate([features, np.full((1, 3), np.nan, np.float32)])
    counts = voted(broken, np.append(classes, 0), np.append(persons, 1), 2, 3)
    np.testing.assert_array_equal(counts, voted(features, classes, persons, 2, 3))
