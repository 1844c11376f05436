"""The improved-diffusion generator with a small network of random weights."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators.improved_diffusion import (
    ImprovedDiffusion,
    Noise,
    from_bytes,
    to_bytes,
)
from pe_engine.generators.improved_options import Options
from pe_engine.generators.improved_unet import UNet

TINY = {
    "model_image_size": 32,
    "num_channels": 32,
    "num_res_blocks": 1,
    "timestep_respacing": "5",
    "dtype": "fp32",
}
STEPS = 5


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of random weights in the published format, by the options that shape them."""
    folder = tmp_path_factory.mktemp("weights")

    def path(**options):
        known = {field.name for field in fields(Options)} - {"model_path"}
        shape = Options(**{name: options[name] for name in known & set(options)}).shape()
        file = folder / f"{abs(hash(shape))}.pt"
        if not file.exists():
            torch.manual_seed(0)
            torch.save(UNet(shape).state_dict(), file)
        return str(file)

    return path


@pytest.fixture(scope="module")
def build(weights):
    def make(**options):
        options = {**TINY, **options}
        return ImprovedDiffusion(32, "cpu", model_path=weights(**options), **options)

    return make


@pytest.fixture(scope="module")
def generator(build):
    return build()


def make(generator, n=3, seed=0, prompts=None):
    return generator.random(["cat"] * n, prompts or [""] * n, np.random.default_rng(seed))


def vary(generator, state, degree, seed=1):
    return generator.vary(state, degree, np.random.default_rng(seed))


def distance(one, other):
    return float(np.abs(one["pixels"].astype(float) - other["pixels"]).mean())


def told(generator, action):
    """What the network is told while ``action`` runs: (timestep, labels) of each step."""
    seen = []

    def note(module, args):
        seen.append((int(args[1][0]), None if args[2] is None else args[2].tolist()))

    hook = generator.network.register_forward_pre_hook(note)
    action()
    hook.remove()
    return seen


# The contract -------------------------------------------------------------------------------------


def test_states_and_images_are_as_the_contract_says(generator):
    state = make(generator)
    assert set(state) == {"pixels", "label"}
    assert state["pixels"].shape == (3, 32, 32, 3)
    assert state["pixels"].dtype == np.uint8
    assert state["label"].dtype == np.int64
    assert generator.varies_pixels
    np.testing.assert_array_equal(generator.render(state), state["pixels"])
    children = vary(generator, state, 0.5)
    assert children["pixels"].shape == (3, 32, 32, 3)
    np.testing.assert_array_equal(children["label"], state["label"])


@pytest.mark.parametrize("use_ddim", [True, False])
def test_a_seed_decides_the_image(build, use_ddim):
    generator = build(use_ddim=use_ddim)
    one = make(generator)
    np.testing.assert_array_equal(one["pixels"], make(generator)["pixels"])
    assert distance(one, make(generator, seed=1)) > 1
    np.testing.assert_array_equal(
        vary(generator, one, 0.6)["pixels"], vary(generator, one, 0.6)["pixels"]
    )
    assert distance(vary(generator, one, 0.6), vary(generator, one, 0.6, seed=2)) > 1


@pytest.mark.parametrize("use_ddim", [True, False])
def test_every_image_has_noise_of_its_own(build, use_ddim):
    generator = build(use_ddim=use_ddim)
    state = make(generator, 4, prompts=["7"] * 4)
    same = {name: array[[0, 0, 0, 0]] for name, array in state.items()}
    for made in (state, vary(generator, same, 0.6)):
        assert len(np.unique(made["pixels"].reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("use_ddim", [True, False])
def test_an_image_does_not_depend_on_how_many_are_made_at_once(build, use_ddim):
    many, few = build(use_ddim=use_ddim), build(use_ddim=use_ddim, batch_size=2)
    one, two = make(many, 5), make(few, 5)
    np.testing.assert_array_equal(one["label"], two["label"])
    assert np.abs(one["pixels"].astype(int) - two["pixels"]).max() <= 1
    one, two = vary(many, one, 0.6), vary(few, one, 0.6)
    assert np.abs(one["pixels"].astype(int) - two["pixels"]).max() <= 1


@pytest.mark.parametrize(("use_ddim", "draws"), [(True, 1), (False, STEPS)])
def test_only_ancestral_steps_draw_noise_on_the_way(build, monkeypatch, use_ddim, draws):
    drawn, draw = [], Noise.__call__
    monkeypatch.setattr(Noise, "__call__", lambda noise: drawn.append(1) or draw(noise))
    make(build(use_ddim=use_ddim))
    assert len(drawn) == draws


def test_bytes_survive_the_way_through_floats():
    pixels = np.arange(256, dtype=np.uint8).repeat(12).reshape(-1, 4, 4, 3)
    images = from_bytes(pixels, "cpu")
    assert images.shape == (len(pixels), 3, 4, 4)
    assert (images.min(), images.max()) == (-1, 1)
    np.testing.assert_array_equal(to_bytes(images), pixels)
    np.testing.assert_array_equal(to_bytes(3 * images)[images.permute(0, 2, 3, 1) > 0.4], 255)


# Degrees ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(STEPS))
def test_variation_starts_at_the_step_that_the_degree_means(generator, start):
    """Number ``start`` from the noisiest, as the seed counts."""
    state = make(generator)
    times = Options(**TINY).timesteps()[::-1]
    seen = told(generator, lambda: vary(generator, state, 1 - start / STEPS))
    assert [time for time, _ in seen] == times[start:].tolist()
    assert all(labels == state["label"].tolist() for _, labels in seen)


def test_noise_is_put_on_the_parent(build):
    """What the network is given first is q(x_t | x_0) of the parent."""
    generator, inputs = build(batch_size=4), []
    generator.network.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    flat = {"pixels": np.full((4, 32, 32, 3), 255, np.uint8), "label": np.zeros(4, np.int64)}
    for start in range(STEPS):
        inputs.clear()
        vary(generator, flat, 1 - start / STEPS)
        kept = generator.diffusion.alpha_bar[STEPS - 1 - start]
        assert abs(float(inputs[0].mean()) - kept**0.5) < 0.05
        assert abs(float(inputs[0].std()) - (1 - kept) ** 0.5) < 0.05


def test_degree_zero_changes_nothing(generator):
    state = make(generator)
    for degree in (0.0, 0.09):  # less than half a step
        np.testing.assert_array_equal(vary(generator, state, degree)["pixels"], state["pixels"])


def test_a_larger_degree_changes_more(generator):
    gentle = {"pixels": np.full((8, 32, 32, 3), 128, np.uint8), "label": np.arange(8)}
    changes = [distance(vary(generator, gentle, degree), gentle) for degree in (0.2, 0.6, 1.0)]
    assert changes == sorted(changes)


# Labels -------------------------------------------------------------------------------------------


def test_labels_are_drawn_from_all_thousand_whatever_the_class(build):
    generator = build(timestep_respacing="1")
    labels = generator._described([""] * 20_000, np.random.default_rng(0))["label"]
    assert len(np.unique(labels)) == 1000
    assert (labels.min(), labels.max()) == (0, 999)
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    one, two = generator.random(["cat"], [""], rng), generator.random(["dog"], [""], other)
    np.testing.assert_array_equal(one["pixels"], two["pixels"])


def test_a_prompt_may_be_a_label(generator):
    drawn = make(generator)["label"]
    state = make(generator, prompts=["0", " 999 ", ""])
    assert state["label"].tolist() == [0, 999, drawn[2]]
    seen = told(generator, lambda: make(generator, prompts=["0", "999", ""]))
    assert seen[0][1] == [0, 999, drawn[2]]


def test_the_label_decides_the_image(generator):
    one, other = make(generator, prompts=["3"] * 3), make(generator, prompts=["4"] * 3)
    assert distance(one, other) > 0.5


@pytest.mark.parametrize("prompt", ["a cat", "1000", "-1", "1.5", "٣٣٣٣", "9" * 5000])
def test_other_prompts_are_refused(generator, prompt):
    with pytest.raises(ConfigError, match=r"only knows .* 0 to 999"):
        make(generator, prompts=[prompt] * 3)


def test_a_model_without_labels_keeps_none(build):
    generator = build(class_cond=False)
    state = make(generator)
    assert set(state) == {"pixels"}
    assert set(vary(generator, state, 0.6)) == {"pixels"}
    with pytest.raises(ConfigError, match="takes none"):
        make(generator, prompts=["3"] * 3)


def test_pictures_from_elsewhere_can_be_varied(generator):
    pixels = np.random.default_rng(0).integers(256, size=(3, 32, 32, 3)).astype(np.uint8)
    state = generator.adopt(pixels, [""] * 3, ["5", "", ""], np.random.default_rng(0))
    np.testing.assert_array_equal(state["pixels"], pixels)
    assert state["label"][0] == 5
    assert state["label"][1:].tolist() == make(generator)["label"][1:].tolist()
    assert vary(generator, state, 0.4)["pixels"].shape == pixels.shape


@pytest.mark.parametrize(
    "options",
    [
        {"learn_sigma": False, "use_ddim": False},
        {"learn_sigma": False, "sigma_small": True, "use_ddim": False},
        {"predict_xstart": True, "clip_denoised": False},
        {"use_scale_shift_norm": False, "noise_schedule": "linear", "diffusion_steps": 1000},
        {"rescale_timesteps": True, "timestep_respacing": "ddim5", "num_heads_upsample": 2},
    ],
)
def test_models_of_other_kinds_run(build, options):
    generator = build(**options)
    state = make(generator, 2)
    assert distance(vary(generator, state, 0.6), state) > 0


# Memory, size, file -------------------------------------------------------------------------------


def test_the_batch_is_halved_until_it_fits(build):
    generator, roomy, sizes = build(batch_size=8), build(batch_size=8), []

    def full(module, args):
        sizes.append(len(args[0]))
        if len(args[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    generator.network.register_forward_pre_hook(full)
    made = make(generator, 5)
    assert [sizes[0], sizes[1], max(sizes[2:])] == [5, 4, 2]
    assert np.abs(made["pixels"].astype(int) - make(roomy, 5)["pixels"]).max() <= 1
    sizes.clear()
    vary(generator, made, 0.6)
    assert max(sizes) == 2  # what was learned is kept


def test_only_one_batch_is_on_the_device(build):
    generator, sizes = build(batch_size=2), []
    generator.network.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    vary(generator, make(generator, 5), 0.6)
    assert set(sizes) == {1, 2}


def test_what_is_too_large_for_the_memory_is_said(build):
    generator = build()

    def full(module, args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    generator.network.register_forward_pre_hook(full)
    with pytest.raises(GeneratorError, match="Not even one image of 32 x 32 pixels"):
        make(generator)


def test_the_size_is_the_models(weights):
    options = Options(model_path=weights(**TINY), **TINY)
    assert ImprovedDiffusion.fitting_size(options, None) == 32
    assert ImprovedDiffusion.fitting_size(options, 32) == 32
    with pytest.raises(ConfigError, match="64 pixels, but this model makes images of 32"):
        ImprovedDiffusion.fitting_size(options, 64)


def test_the_file_is_looked_for_before_anything_is_made():
    with pytest.raises(ConfigError, match="needs the weights of a model"):
        ImprovedDiffusion.fitting_size(Options(), None)
    with pytest.raises(ConfigError, match=r"no file 'nowhere\.pt'"):
        ImprovedDiffusion.fitting_size(Options(model_path="nowhere.pt"), 64)


def test_the_files_hash_can_be_shown(generator):
    assert len(generator.sha256) == 64


def test_half_precision_makes_nearly_the_same_image(build):
    exact, rough = make(build(), 2), make(build(dtype="bf16"), 2)
    assert 0 < distance(exact, rough) < 10
