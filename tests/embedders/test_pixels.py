"""Pixels: scaling, and grey features that vote as the colour ones do."""

import numpy as np
import pytest
import torch

from pe_engine.embedders.pixels import Pixels
from tests.test_voting import chosen


def images(n, seed=0, grey=False):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 6, 6, 1 if grey else 3), np.uint8)
    return np.broadcast_to(pixels, (n, 6, 6, 3)) if grey else pixels


def test_scales_to_one():
    embedder = Pixels(6, "cpu", grey=False)
    features = embedder.embed(images(4))
    assert features.dtype == np.float32
    assert features.shape == (4, embedder.dimension) == (4, 108)
    np.testing.assert_allclose(features, images(4).reshape(4, -1) / 255, rtol=1e-6)


def test_grey_features_are_the_mean_channel_and_do_not_depend_on_memory_layout():
    embedder = Pixels(6, "cpu", grey=True)
    view = images(5, grey=True)
    assert view.strides[-1] == 0
    np.testing.assert_array_equal(embedder.embed(view), embedder.embed(view.copy()))
    np.testing.assert_allclose(embedder.embed(view), view[..., 0].reshape(5, 36) / 255, rtol=1e-6)
    colour = images(5)
    np.testing.assert_allclose(
        embedder.embed(colour), colour.mean(axis=-1).reshape(5, 36) / 255, rtol=1e-6
    )


def test_grey_and_colour_features_vote_alike_on_grey_candidates():
    private, candidates = images(300), images(40, seed=1, grey=True)
    for metric in ("l2", "ip", "cosine"):
        choices = []
        for grey in (True, False):
            embedder = Pixels(6, "cpu", grey)
            made = chosen(
                embedder.embed(private),
                np.arange(300),
                embedder.embed(candidates),
                neighbours=2,
                metric=metric,
                search="faiss",
                device="cpu",
            )
            choices.append(made.tolist())
        assert choices[0] == choices[1]


@pytest.mark.parametrize("grey", [False, True])
def test_floats_on_the_device_give_the_features_of_the_same_uint8_images(grey):
    pixels = images(5)
    floats = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    embedder = Pixels(6, "cpu", grey)
    features = embedder.embed(floats)
    assert features.dtype == np.float32
    assert features.shape == (5, embedder.dimension)
    np.testing.assert_allclose(features, embedder.embed(pixels), rtol=1e-6)


def test_floats_are_not_rounded_to_8_bits():
    floats = torch.full((1, 3, 6, 6), 0.3001)
    np.testing.assert_allclose(Pixels(6, "cpu", grey=True).embed(floats), 0.3001, rtol=1e-6)
