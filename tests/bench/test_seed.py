"""The seed's way, truly: pixels and prompts are encoded anew, and PNG files written and read."""

import numpy as np
import pytest
from PIL import Image

from pe_engine.bench.seed import BATCH, SeedWay
from pe_engine.embedders.pixels import Pixels
from pe_engine.generators.recipes import Options

SIZE = 64


@pytest.fixture(scope="module")
def seed(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pngs")
    options = Options(model=tiny_model, steps=4, guidance=7.5)
    return SeedWay(options, SIZE, "cpu", Pixels(SIZE, "cpu", False), folder)


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of methods, and the rows of their first argument."""

    def count(owner, name):
        inner, seen = getattr(owner, name), []

        def counted(*args, **kwargs):
            seen.append(len(args[0]) if hasattr(args[0], "__len__") else 1)
            return inner(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
        return seen

    return count


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)


def test_the_two_pipelines_share_nothing(seed):
    ours = {id(part) for part in seed.random_pipeline.components.values() if part is not None}
    theirs = {id(part) for part in seed.variation_pipeline.components.values() if part is not None}
    assert not ours & theirs


def test_random_images_are_uint8_in_batches_of_ten(seed, calls):
    unet = calls(seed.random_pipeline.unet, "forward")
    made = seed.random("a cat", BATCH + 3)
    assert made.shape == (BATCH + 3, SIZE, SIZE, 3)
    assert made.dtype == np.uint8
    assert sorted(set(unet)) == [2 * 3, 2 * BATCH]  # guidance doubles each row; the tail is ragged


def test_every_variation_encodes_its_pixels_and_every_batch_its_prompts(seed, calls):
    pixels = calls(seed.variation_pipeline.vae, "encode")
    prompts = calls(seed.variation_pipeline, "encode_prompt")
    for _ in range(2):
        varied = seed.vary(images(BATCH + 2), ["a cat"] * (BATCH + 2), 0.5)
    assert varied.shape == (BATCH + 2, SIZE, SIZE, 3)
    assert varied.dtype == np.uint8
    assert sum(pixels) == 2 * (BATCH + 2)
    assert prompts == [BATCH, 2] * 2


def test_features_come_from_png_files_and_are_those_of_the_pixels(seed, calls):
    written, read = calls(Image.Image, "save"), calls(Image, "open")
    some = images(7)
    features = seed.features(some)
    assert len(written) == len(read) == 7
    np.testing.assert_array_equal(features, some.reshape(7, -1) * np.float32(1 / 255))


def test_a_generation_makes_all_children_twice(seed, calls):
    vae = calls(seed.variation_pipeline.vae, "encode")
    written = calls(Image.Image, "save")
    parents = np.array([2, 0, 0])
    asked = []

    def vote(candidates):
        asked.append(candidates)
        return parents

    following = seed.generation(images(3), ["a cat"] * 3, 0.5, 2, vote)
    assert following.shape == (3, SIZE, SIZE, 3)
    assert asked[0].shape == (3, SIZE * SIZE * 3)
    assert sum(vae) == 3 * 2 + 3  # the look-ahead, and the next generation anew
    assert len(written) == 3 * 2 + 3
