"""Population: rows stay together."""

import numpy as np
import pytest

from pe_engine.population import Population, sample_indices


def population(n, start=0):
    rows = np.arange(start, start + n)
    images = np.zeros((n, 2, 2, 3), np.uint8) + rows[:, None, None, None].astype(np.uint8)
    return Population(images, rows % 2, np.full(n, -1), {"latent": rows * 1.5})


def test_take_and_concatenate_keep_rows_together():
    both = Population.concatenate([population(3), population(2, start=3)])
    taken = both.take(np.array([4, 0, 4]))
    assert taken.images[:, 0, 0, 0].tolist() == [4, 0, 4]
    assert taken.class_ids.tolist() == [0, 0, 0]
    assert taken.state["latent"].tolist() == [6.0, 0.0, 6.0]


def test_grey_images_stay_one_channel_in_memory():
    grey = np.arange(2 * 4, dtype=np.uint8).reshape(2, 2, 2, 1)
    one = Population(np.broadcast_to(grey, (2, 2, 2, 3)), np.zeros(2), np.zeros(2))
    both = Population.concatenate([one, one.take(np.array([1, 0, 1]))])
    assert both.images.strides[-1] == 0
    assert both.images[:, 0, 0].tolist() == [[v] * 3 for v in (0, 4, 4, 0, 4)]
    copied = Population(one.images.copy(), one.class_ids, one.parents)
    mixed = Population.concatenate([one, copied])
    assert mixed.images.shape == (4, 2, 2, 3)
    assert mixed.images[1, 0, 1].tolist() == [5, 5, 5]


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="class_ids has 2 rows for 3 images"):
        Population(np.zeros((3, 2, 2, 3), np.uint8), np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="uint8"):
        Population(np.zeros((3, 2, 2, 3)), np.zeros(3), np.zeros(3))


def test_samples_are_spread_over_each_class():
    class_ids = np.repeat([0, 1], [100, 3])
    first, second = sample_indices(class_ids, 5)
    assert first.tolist() == [0, 20, 40, 60, 80]
    assert second.tolist() == [100, 101, 102]
