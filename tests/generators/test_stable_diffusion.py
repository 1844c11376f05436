"""Stable Diffusion, tested on the bundled miniature: the same code that runs the large ones."""

from __future__ import annotations

import io
import json
import shutil
import threading

import numpy as np
import pytest
import torch

from pe_engine.errors import GeneratorError, Interrupted
from pe_engine.generators import checkpoints
from pe_engine.generators.denoising import start
from pe_engine.generators.miniature import MINIATURE, plain_caption
from pe_engine.generators.stable_diffusion import StableDiffusion
from pe_engine.generators.transfer import HostCopy, to_uint8

SEVEN = plain_caption("7")


@pytest.fixture(scope="module")
def generator() -> StableDiffusion:
    return StableDiffusion(32, "cpu", dtype="fp32", steps=4)


def make(generator, n=3, seed=0, prompt=SEVEN):
    return HostCopy(generator.random([""] * n, [prompt] * n, np.random.default_rng(seed))).state()


def vary(generator, state, degree, seed=1):
    return HostCopy(generator.vary(state, degree, np.random.default_rng(seed))).state()


def distance(one, other):
    difference = one["latents"].astype(float) - other["latents"].astype(float)
    return float(np.abs(difference).mean())


def steps_of(generator, action) -> list[int]:
    """The timesteps at which the UNet is asked while ``action`` runs."""
    seen = []
    hook = generator.fresh.text_to_image.unet.register_forward_pre_hook(
        lambda module, args: seen.append(int(args[1]))
    )
    action()
    hook.remove()
    return seen


# The contract -----------------------------------------------------------------------------------


def test_states_and_images_are_as_the_contract_says(generator):
    state = make(generator)
    assert state["latents"].shape == (3, 4, 8, 8)
    assert state["latents"].dtype == np.float16
    assert state["prompt"].tolist() == [SEVEN] * 3
    images = generator.render(state)
    assert images.shape == (3, 3, 32, 32)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert to_uint8(images).shape == (3, 32, 32, 3)


def test_a_seed_decides_the_image(generator):
    again, other = make(generator), make(generator, seed=1)
    np.testing.assert_array_equal(make(generator)["latents"], again["latents"])
    assert distance(again, other) > 0.1


def test_every_image_has_a_seed_of_its_own(generator):
    state = make(generator, 4)
    same = {name: array[[0, 0, 0, 0]] for name, array in state.items()}
    for made in (state, vary(generator, same, 0.5), vary(generator, same, 1.0)):
        assert len(np.unique(made["latents"].reshape(4, -1), axis=0)) == 4


def test_an_image_does_not_depend_on_how_many_are_made_at_once(generator):
    few = StableDiffusion(32, "cpu", dtype="fp32", steps=4, batch_size=2)
    one, two = make(generator, 5), make(few, 5)
    np.testing.assert_allclose(one["latents"], two["latents"], atol=2e-3)
    one, two = vary(generator, one, 0.5), vary(few, two, 0.5)
    np.testing.assert_allclose(one["latents"], two["latents"], atol=5e-3)


def test_the_state_survives_a_file_without_pickle(generator):
    state, file = make(generator), io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        read = {name: loaded[name] for name in loaded.files}
    np.testing.assert_array_equal(
        vary(generator, read, 0.4)["latents"], vary(generator, state, 0.4)["latents"]
    )


# Degrees ----------------------------------------------------------------------------------------


def test_a_batch_ends_between_two_steps_when_the_run_is_to_stop(generator):
    state, stop = make(generator), threading.Event()
    generator.heed(stop)

    def interrupted(action):
        hook = generator.fresh.text_to_image.unet.register_forward_hook(lambda *_: stop.set())
        with pytest.raises(Interrupted):
            action()
        hook.remove()
        stop.clear()

    for action in (lambda: make(generator), lambda: vary(generator, state, 1.0)):
        assert len(steps_of(generator, lambda: interrupted(action))) == 1  # noqa: B023
    np.testing.assert_array_equal(make(generator)["latents"], state["latents"])


def test_degree_zero_changes_nothing(generator):
    state = make(generator)
    np.testing.assert_array_equal(vary(generator, state, 0.0)["latents"], state["latents"])


def test_degree_one_forgets_the_parent(generator):
    one, other = make(generator), make(generator, seed=5)
    np.testing.assert_array_equal(
        vary(generator, one, 1.0)["latents"], vary(generator, other, 1.0)["latents"]
    )


def test_a_larger_degree_changes_more(generator):
    state = make(generator, 16)
    changes = [distance(vary(generator, state, degree), state) for degree in (0.1, 0.4, 0.8, 1.0)]
    assert changes == sorted(changes)
    assert changes[0] < 0.7 * changes[-1]


@pytest.mark.parametrize(
    ("degree", "expected"),
    [(0.98, [979, 734, 489, 244]), (0.5, [499, 249]), (0.02, [19]), (0.001, [0])],
)
def test_denoising_begins_at_exactly_the_degree(generator, degree, expected):
    state = make(generator, 1)
    assert steps_of(generator, lambda: vary(generator, state, degree)) == expected


@pytest.mark.parametrize("steps", [1, 4, 20, 49, 50, 98, 103, 1000])
def test_a_scheduler_that_takes_no_timesteps_does_the_nearest_number_of_steps(steps):
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

    spaced = DPMSolverMultistepScheduler(use_karras_sigmas=True)
    for scheduler in (DDIMScheduler(), UniPCMultistepScheduler(), spaced):
        for first in (9, 409, 579, 998):
            given = start(scheduler, steps, first)
            done = min(int(given["num_inference_steps"] * given["strength"]), steps)
            assert done == max(1, round(steps * (first + 1) / 1000))


def test_our_ddim_is_ddim():
    """DPM-Solver of first order steps as diffusers' own DDIM does between the same timesteps."""
    from diffusers import DDIMScheduler

    own = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
        set_alpha_to_one=True, timestep_spacing="trailing",
    )  # fmt: skip
    ours = checkpoints.scheduler("ddim", own)
    for scheduler in (own, ours):
        scheduler.set_timesteps(5)
    assert own.timesteps.tolist() == ours.timesteps.tolist()
    one = other = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for t in own.timesteps:
        one = own.step(one * 0.3 + 0.1, t, one).prev_sample
        other = ours.step(other * 0.3 + 0.1, t, other).prev_sample
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def spaced_model(tmp_path_factory):
    """The miniature with a scheduler of its own that spaces noise levels as Karras et al. do."""
    folder = tmp_path_factory.mktemp("models") / "spaced"
    shutil.copytree(MINIATURE, folder)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "use_karras_sigmas": True}))
    return str(folder)


@pytest.mark.parametrize("scheduler", checkpoints.SCHEDULERS)
@pytest.mark.parametrize("spaced", [False, True])
def test_every_scheduler_makes_and_varies(scheduler, spaced, spaced_model):
    generator = StableDiffusion(
        32,
        "cpu",
        model=spaced_model if spaced else "",
        dtype="fp32",
        steps=3,
        scheduler=scheduler,
        variation_scheduler=scheduler,
    )
    state = make(generator, 2)
    for degree in (0.05, 0.6, 0.97):
        assert np.isfinite(vary(generator, state, degree)["latents"]).all()


# Nothing is done twice --------------------------------------------------------------------------


def test_latents_are_kept_and_pixels_never_encoded(generator, monkeypatch):
    def encode(*args, **kwargs):
        raise AssertionError("pixels were encoded")

    monkeypatch.setattr(generator.decoder, "encode", encode)
    vary(generator, make(generator), 0.5)


def test_a_prompt_is_encoded_once():
    generator = StableDiffusion(32, "cpu", dtype="fp32", steps=1, batch_size=2)
    encoded = []
    generator.fresh.text_to_image.text_encoder.register_forward_hook(
        lambda *args: encoded.append(1)
    )
    texts = ["one", "two", "one", "two", "one"]
    state = generator.random([""] * 5, texts, np.random.default_rng(0))
    generator.vary(state, 0.5, np.random.default_rng(1))
    assert len(encoded) == 4  # each of the two beside the negative prompt


def test_both_pipelines_share_their_components(generator):
    for part in ("unet", "vae", "text_encoder"):
        one, other = generator.fresh.text_to_image, generator.variation.image_to_image
        assert getattr(one, part) is getattr(other, part)


# Prompts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "class_name", "prompt", "expected"),
    [
        ({}, "7", "", "a handwritten digit seven"),
        ({}, "R", "", "a handwritten capital r"),
        ({}, "r", "", "a handwritten small r"),
        ({}, "ragdoll cat", "", "a photo of ragdoll cat"),
        ({}, "", "", ""),
        ({}, "7", " a thin 7 ", "a thin 7"),
        ({"template": "an X-ray of {}"}, "7", "", "an X-ray of 7"),
        ({"model": str(MINIATURE)}, "7", "", "a photo of 7"),
    ],
)
def test_the_prompt_is_what_is_typed_or_made_from_the_class(options, class_name, prompt, expected):
    generator = StableDiffusion(32, "cpu", steps=1, **options)
    state = generator.random([class_name], [prompt], np.random.default_rng(0))
    assert state["prompt"].tolist() == [expected]


def test_prompts_and_negative_prompts_guide():
    plain, negative = (
        StableDiffusion(32, "cpu", dtype="fp32", steps=2, negative_prompt=text)
        for text in ("", "bold")
    )
    assert distance(make(plain), make(plain, prompt="capital r")) > 0.01
    assert distance(make(plain), make(negative)) > 1e-4
    unguided = [
        StableDiffusion(32, "cpu", dtype="fp32", steps=2, guidance=1.0, negative_prompt=text)
        for text in ("", "bold")
    ]
    assert distance(*(make(g) for g in unguided)) == 0


# Other models -----------------------------------------------------------------------------------


def test_another_checkpoint_for_variations(tmp_path):
    shutil.copytree(MINIATURE, tmp_path / "other")
    generator = StableDiffusion(
        32, "cpu", dtype="fp32", steps=2, variation_model=str(tmp_path / "other")
    )
    assert generator.fresh.text_to_image.unet is not generator.variation.image_to_image.unet
    vary(generator, make(generator), 0.5)


def test_the_same_checkpoint_named_twice_is_loaded_once():
    here = str(MINIATURE)
    generator = StableDiffusion(32, "cpu", model=here, variation_model=here)
    assert generator.fresh.text_to_image.unet is generator.variation.image_to_image.unet


def test_new_images_may_be_made_at_another_size():
    generator = StableDiffusion(32, "cpu", dtype="fp32", steps=2, random_size=64)
    state = make(generator, 2)
    assert state["latents"].shape == (2, 4, 8, 8)
    assert vary(generator, state, 0.5)["latents"].shape == (2, 4, 8, 8)


def test_latents_of_another_autoencoder_are_made_anew(tmp_path):
    """A model for variations whose latents have another scale decodes the same pictures."""
    shutil.copytree(MINIATURE, tmp_path / "other")
    config = tmp_path / "other" / "vae" / "config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps({**told, "scaling_factor": 2 * told["scaling_factor"]}))
    one = StableDiffusion(32, "cpu", dtype="fp32", steps=2)
    two = StableDiffusion(
        32, "cpu", dtype="fp32", steps=2, guidance=2.0, variation_model=str(tmp_path / "other")
    )
    first, second = (g.render(make(g, 2)) for g in (one, two))
    assert (first - second).abs().mean() < 0.05


def test_degree_one_goes_by_the_recipe_for_variations():
    generator = StableDiffusion(32, "cpu", dtype="fp32", steps=1, variation_steps=3)
    state = make(generator, 1)
    assert len(steps_of(generator, lambda: vary(generator, state, 1.0))) == 3


def test_a_latent_consistency_model_keeps_its_own_sampler():
    from diffusers import LatentConsistencyModelPipeline

    from pe_engine.generators.denoising import Denoiser
    from pe_engine.generators.prompts import Prompts
    from pe_engine.generators.recipes import Recipe

    parts = checkpoints.load(checkpoints.find(""), torch.float32, "cpu").components
    for extra in ("safety_checker", "feature_extractor", "image_encoder"):
        parts[extra] = None
    settings = {**parts["unet"].config, "time_cond_proj_dim": 32}
    parts["unet"] = type(parts["unet"]).from_config(settings)
    pipeline = LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    denoiser = Denoiser(pipeline, Recipe(4, 1.0, "dpm++"), Prompts(pipeline, ""))
    texts, seeds = np.array([SEVEN] * 2), np.arange(2)
    latents = denoiser.new(texts, seeds, 32)
    assert latents.shape == (2, 4, 8, 8)
    assert torch.isfinite(denoiser.again(latents, 399, texts, seeds)).all()


def test_a_tiny_autoencoder_of_another_kind_is_refused(tmp_path):
    from diffusers import AutoencoderTiny

    AutoencoderTiny().save_pretrained(tmp_path)
    with pytest.raises(GeneratorError, match=r"makes 8 pixels of each .* the model's own makes 4"):
        StableDiffusion(32, "cpu", preview_autoencoder=str(tmp_path))


def test_a_tiny_autoencoder_for_look_ahead(generator, tmp_path):
    from diffusers import AutoencoderTiny

    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1),
    ).save_pretrained(tmp_path)  # fmt: skip
    quick = StableDiffusion(32, "cpu", dtype="fp32", preview_autoencoder=str(tmp_path))
    state = make(generator)
    torch.testing.assert_close(quick.render(state), generator.render(state))
    assert quick.render(state, preview=True).shape == (3, 3, 32, 32)
    assert (quick.render(state, preview=True) - quick.render(state)).abs().mean() > 0.01


def test_sdxl_goes_the_same_way(tmp_path):
    save_small_sdxl(tmp_path)
    generator = StableDiffusion(32, "cpu", model=str(tmp_path), dtype="fp32", steps=2)
    state = make(generator, 3, prompt="one")
    assert state["latents"].shape == (3, 4, 8, 8)
    assert distance(vary(generator, state, 0.3), state) > 0
    assert generator.render(state).shape == (3, 3, 32, 32)


def save_small_sdxl(folder):
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    words = CLIPTokenizer.from_pretrained(MINIATURE, subfolder="tokenizer")
    small = CLIPTextModel.from_pretrained(MINIATURE, subfolder="text_encoder").config
    small.projection_dim = 32
    torch.manual_seed(0)
    StableDiffusionXLPipeline(
        vae=AutoencoderKL.from_pretrained(MINIATURE, subfolder="vae"),
        text_encoder=CLIPTextModel(small),
        text_encoder_2=CLIPTextModelWithProjection(small),
        tokenizer=words,
        tokenizer_2=words,
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=256,
            attention_head_dim=(2, 4), use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=32 + 6 * 8,
        ),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", steps_offset=1),
    ).save_pretrained(folder)  # fmt: skip


# Memory -----------------------------------------------------------------------------------------


def full_above(limit: int, asked: list[int]):
    """Work that runs out of memory for more rows than ``limit``."""

    def work(rows):
        asked.append(len(rows))
        if len(rows) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.from_numpy(rows)

    return work


def test_the_batch_is_halved_until_it_fits():
    generator, asked = StableDiffusion(32, "cpu", batch_size=8), []
    rows = generator._in_parts(9, full_above(2, asked))
    assert rows.tolist() == list(range(9))
    assert asked == [8, 4, 2, 2, 2, 2, 1]
    assert generator._in_parts(3, full_above(2, asked)).tolist() == [0, 1, 2]
    assert asked[7:] == [2, 1]  # what was learned is kept


def test_what_fits_is_said_when_one_image_does_not():
    generator = StableDiffusion(32, "cpu", batch_size=4)
    with pytest.raises(GeneratorError, match=r"Not even one image of 32 x 32 .* device to cpu"):
        generator._in_parts(4, full_above(0, []))


def test_a_compiled_model_gets_batches_of_one_size():
    generator, asked = StableDiffusion(32, "cpu", batch_size=4), []
    generator._compiled = True
    assert generator._in_parts(6, full_above(9, asked)).tolist() == list(range(6))
    assert asked == [4, 4]
