"""Preparing images and batches of one shape: a row never depends on the rows around it."""

import numpy as np
import pytest
import torch
from PIL import Image

from pe_engine.embedders.network import Inputs, NetworkEmbedder, prepare

BATCH = 8
PLAIN = Inputs(20, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def images(n, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)


def as_floats(pixels):
    """What a generator would give for the same values."""
    return torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).contiguous() / 255


@pytest.fixture
def embedder():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 48, 3), torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(15552, 70)
    )
    network.shapes = []
    network.register_forward_pre_hook(lambda net, given: net.shapes.append(given[0].shape))
    made = NetworkEmbedder(network, 70, PLAIN, "cpu", BATCH)
    made.shapes = network.shapes
    return made


@pytest.mark.parametrize(("size", "target"), [(28, 224), (64, 20), (299, 224), (20, 20)])
def test_resizing_is_pillows_antialiased_bicubic_without_rounding(size, target):
    pixels = images(2, size)
    ours = prepare(as_floats(pixels), Inputs(target, (0.0,) * 3, (1.0,) * 3))
    for image, row in zip(pixels, ours, strict=True):
        for channel in range(3):
            plane = Image.fromarray(image[..., channel].astype(np.float32))
            resized = plane.resize((target, target), Image.Resampling.BICUBIC)
            expected = np.asarray(resized).clip(0, 255) / 255
            np.testing.assert_allclose(row[channel], expected, atol=1e-4)


def test_normalises_each_channel():
    grey = torch.full((1, 3, 20, 20), 0.5)
    ours = prepare(grey, Inputs(20, (0.1, 0.2, 0.3), (0.5, 0.25, 0.1)))
    torch.testing.assert_close(ours[0, :, 4, 7], torch.tensor([0.8, 1.2, 2.0]))


@pytest.mark.parametrize("n", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH - 2])
def test_features_of_both_forms_are_equal_and_every_batch_has_one_shape(embedder, n):
    pixels = images(n)
    features = embedder.embed(pixels)
    assert features.dtype == np.float32
    assert features.shape == (n, 70)
    np.testing.assert_array_equal(features, embedder.embed(as_floats(pixels)))
    assert set(embedder.shapes) <= {(BATCH, 3, 20, 20)}
    assert len(embedder.shapes) == 2 * -(-n // BATCH)


def test_memory_layout_does_not_matter(embedder):
    grey = images(5)[..., :1]
    view = np.broadcast_to(grey, (5, 32, 32, 3))
    np.testing.assert_array_equal(embedder.embed(view), embedder.embed(view.copy()))
    floats = as_floats(images(5))
    expected = embedder.embed(floats)
    other = floats.to(memory_format=torch.channels_last)
    np.testing.assert_array_equal(embedder.embed(other), expected)


def test_floats_are_not_rounded_to_8_bits(embedder):
    low, high = (torch.full((1, 3, 32, 32), level / 255) for level in (100.1, 100.3))
    assert (embedder.embed(low) != embedder.embed(high)).any()


def test_a_row_depends_neither_on_other_rows_nor_on_its_place(embedder):
    pixels = images(2 * BATCH + 3)
    together = embedder.embed(pixels)
    alone = np.concatenate([embedder.embed(image[None]) for image in pixels])
    np.testing.assert_array_equal(together, alone)
    longer = embedder.embed(np.concatenate([images(5, seed=1), pixels]))
    np.testing.assert_array_equal(longer[5:], together)


def test_a_broken_row_stays_alone(embedder):
    floats = as_floats(images(3))
    expected = embedder.embed(floats)
    floats[1] = float("nan")
    features = embedder.embed(floats)
    assert np.isnan(features[1]).all()
    np.testing.assert_array_equal(features[[0, 2]], expected[[0, 2]])
