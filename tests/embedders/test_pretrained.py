"""CLIP and DINOv2: real classes with small random weights, in place of the cached ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
)
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from pe_engine.embedders import clip, dinov2
from pe_engine.embedders.clip import Clip
from pe_engine.embedders.dinov2 import Dinov2
from pe_engine.embedders.network import BATCH, Inputs, prepare
from pe_engine.embedders.weights import WEIGHTS
from pe_engine.errors import GeneratorError

CLASSES = {"clip": Clip, "dinov2": Dinov2}


def tiny_clip():
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    vision = shape | {"num_attention_heads": 4, "image_size": 32, "patch_size": 8}
    text = shape | {"num_attention_heads": 4, "vocab_size": 60}
    return CLIPModel(
        CLIPConfig(
            vision_config=vision | {"projection_dim": 24},
            text_config=text | {"projection_dim": 24},
            projection_dim=24,
        )
    )


def tiny_dinov2():
    return Dinov2Model(
        Dinov2Config(
            hidden_size=24, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=56
        )
    )


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache with small models where the published ones would be."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    torch.manual_seed(0)
    for name, model in (("clip", tiny_clip()), ("dinov2", tiny_dinov2())):
        model.save_pretrained(snapshot(tmp_path, name))
    return tmp_path


def snapshot(cache: Path, name: str) -> Path:
    """Where the hub keeps the pinned revision."""
    known = WEIGHTS[name]
    folder = "models--" + known.repository.replace("/", "--")
    return cache / folder / "snapshots" / known.revision


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 40, 40, 3), np.uint8)


def as_floats(pixels):
    return torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2) / 255


def test_means_are_those_of_the_published_preprocessing():
    assert (list(clip.MEAN), list(clip.DEVIATION)) == (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    expected = (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    assert (list(dinov2.MEAN), list(dinov2.DEVIATION)) == expected


def test_clip_gives_the_projected_image_features(cache):
    model = CLIPVisionModelWithProjection.from_pretrained(snapshot(cache, "clip"))
    pixels = images(2)
    prepared = prepare(as_floats(pixels), Inputs(32, clip.MEAN, clip.DEVIATION))
    with torch.inference_mode():
        expected = model(prepared).image_embeds
    embedder = Clip(40, "cpu", grey=False)
    assert embedder.dimension == 24
    np.testing.assert_allclose(embedder.embed(pixels), expected, rtol=1e-4, atol=1e-5)


def test_dinov2_gives_the_class_token(cache):
    model = Dinov2Model.from_pretrained(snapshot(cache, "dinov2"))
    pixels = images(2)
    prepared = prepare(as_floats(pixels), Inputs(224, dinov2.MEAN, dinov2.DEVIATION))
    with torch.inference_mode():
        expected = model(prepared).last_hidden_state[:, 0]
    embedder = Dinov2(40, "cpu", grey=False)
    assert embedder.dimension == 24
    np.testing.assert_allclose(embedder.embed(pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CLASSES)
def test_loading_says_nothing(cache, name, capfd):
    CLASSES[name](40, "cpu", grey=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", CLASSES)
def test_a_row_depends_neither_on_other_rows_nor_on_its_place_nor_on_its_form(cache, name):
    embedder = CLASSES[name](40, "cpu", grey=False)
    pixels = images(BATCH + 1)
    together = embedder.embed(pixels)
    assert together.std() > 0.01
    for i in (0, 1, BATCH - 1, BATCH):
        np.testing.assert_array_equal(embedder.embed(pixels[i : i + 1])[0], together[i])
    np.testing.assert_array_equal(embedder.embed(pixels[: BATCH - 1]), together[: BATCH - 1])
    shifted = as_floats(np.concatenate([images(3, seed=1), pixels]))
    np.testing.assert_array_equal(embedder.embed(shifted)[3:], together)


@pytest.mark.parametrize("damage", ["cut", "missing", "shape"])
def test_damaged_weights_are_named(cache, damage):
    path = snapshot(cache, "dinov2") / "model.safetensors"
    arrays = load_file(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "missing":
        save_file({n: a for n, a in arrays.items() if "layernorm" not in n}, path)
    else:
        arrays["layernorm.weight"] = torch.zeros(7)
        save_file(arrays, path)
    with pytest.raises(GeneratorError, match=r"weights of the embedder dinov2 in .* are damaged"):
        Dinov2(40, "cpu", grey=False)


def test_pickles_are_never_read(cache, monkeypatch):
    folder = snapshot(cache, "clip")
    arrays = load_file(folder / "model.safetensors")
    torch.save(arrays, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(GeneratorError, match="not on this machine"):
        Clip(40, "cpu", grey=False)
