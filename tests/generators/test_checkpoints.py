"""Models and sizes that cannot be had: each is one sentence, whatever a library raises."""

from __future__ import annotations

import json
import shutil

import pytest

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import checkpoints
from pe_engine.generators.miniature import MINIATURE
from pe_engine.generators.stable_diffusion import StableDiffusion


def test_sizes_that_the_autoencoder_cannot_make():
    with pytest.raises(ConfigError, match=r"28 pixels.*steps of 8. Choose 24 or 32"):
        StableDiffusion(28, "cpu")
    assert StableDiffusion.fitting_size(StableDiffusion.Options(), None) == 32
    with pytest.raises(ConfigError, match="steps of 8"):
        StableDiffusion(32, "cpu", random_size=33)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0}, {"guidance": -1.0}, {"scheduler": "pndm"}, {"dtype": "int8"},
        {"batch_size": 0}, {"steps": 2.5}, {"compile": "yes"},
    ],
)  # fmt: skip
def test_a_bad_option_is_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        StableDiffusion(32, "cpu", **options)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(GeneratorError, match="has no model_index"):
        StableDiffusion(32, "cpu", model=str(tmp_path))


def test_weights_that_may_hold_code_are_not_opened(tmp_path):
    shutil.copytree(MINIATURE, tmp_path / "model")
    weights = tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(GeneratorError, match="no safetensors weights"):
        StableDiffusion(32, "cpu", model=str(tmp_path / "model"))


def test_a_pipeline_that_draws_no_text(tmp_path):
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    unet = UNet2DModel(
        sample_size=8, block_out_channels=(8,), down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",), norm_num_groups=4,
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path)
    with pytest.raises(GeneratorError, match="DDPMPipeline, which makes no images from text"):
        StableDiffusion(32, "cpu", model=str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("GatedRepoError", "accept a licence. Accept it on .*/some/model and log in"),
        ("RepositoryNotFoundError", "has no such model, or it is private"),
        ("LocalEntryNotFoundError", "cannot be reached from here"),
        ("RemoteEntryNotFoundError", "it has no model_index.json"),
        ("HfHubHTTPError", "does not give it out"),
    ],
)
def test_what_the_hub_answers_is_one_sentence(kind, sentence, monkeypatch):
    import httpx
    from huggingface_hub import errors

    request = httpx.Request("GET", "https://huggingface.co/some/model")
    answer = httpx.Response(404, request=request)
    wrong = getattr(errors, kind)
    problem = wrong("no") if kind == "LocalEntryNotFoundError" else wrong("no", response=answer)

    def download(*args, **kwargs):
        raise problem

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("pe_engine.hub.reachable", lambda: True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(GeneratorError, match=f"some/model is not on this .*{sentence}"):
        checkpoints.find("some/model")


def test_a_hub_out_of_reach_is_said_at_once(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(GeneratorError, match=r"127.0.0.1:9 cannot be reached .* the bundled one"):
        checkpoints.find("some/model")


@pytest.mark.parametrize("broken", ["{}", '{"_class_name": "NoSuchPipeline"}', "not json"])
def test_a_damaged_index_is_one_sentence(tmp_path, broken):
    (tmp_path / "model_index.json").write_text(broken)
    with pytest.raises(GeneratorError, match=r"cannot be loaded|makes no images from text"):
        StableDiffusion(32, "cpu", model=str(tmp_path))


def test_a_class_that_is_not_there_is_one_sentence(tmp_path):
    shutil.copytree(MINIATURE, tmp_path / "model")
    index = tmp_path / "model" / "model_index.json"
    index.write_text(index.read_text().replace("UNet2DConditionModel", "NoSuchModel"))
    with pytest.raises(GeneratorError, match="cannot be loaded"):
        StableDiffusion(32, "cpu", model=str(tmp_path / "model"))


@pytest.mark.parametrize("name", ["no/such/folder/here", "~nosuchuser/x", "x" * 5000, "a b"])
def test_a_name_that_cannot_be_a_model(name):
    with pytest.raises(GeneratorError, match="There is no folder"):
        checkpoints.find(name)


def test_parts_that_do_not_fit_together_are_one_sentence(tmp_path):
    shutil.copytree(MINIATURE, tmp_path / "model")
    config = tmp_path / "model" / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_size": 64}))
    with pytest.raises(GeneratorError, match="cannot be loaded"):
        StableDiffusion(32, "cpu", model=str(tmp_path / "model"))


def test_more_steps_than_a_consistency_model_knows():
    with pytest.raises(ConfigError, match="lcm takes at most 50 steps"):
        StableDiffusion.Options(scheduler="lcm", steps=60)
