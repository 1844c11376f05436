"""Options of improved-diffusion: degrees, and what cannot be a model."""

import numpy as np
import pytest

from pe_engine.errors import ConfigError
from pe_engine.generators.improved_diffusion import ImprovedDiffusion
from pe_engine.generators.improved_options import Options


def test_only_the_path_must_be_given_for_the_published_model():
    options = Options()
    shape, noise = options.shape(), options.diffusion()
    assert (shape.channels, shape.multiples, shape.blocks) == (192, (1, 2, 3, 4), 3)
    assert (shape.attention, shape.heads, shape.heads_up) == ((4, 8), 4, 4)
    assert shape.scale_shift
    assert shape.learned_sigma
    assert shape.labels
    assert len(noise.schedule) == 4000
    assert len(noise.timesteps) == 100
    assert noise.variance == "learned"
    assert options.use_ddim


@pytest.mark.parametrize(
    ("learn_sigma", "sigma_small", "variance"),
    [(True, True, "learned"), (False, True, "small"), (False, False, "large")],
)
def test_the_variance_of_ancestral_steps(learn_sigma, sigma_small, variance):
    made = Options(learn_sigma=learn_sigma, sigma_small=sigma_small).diffusion()
    assert made.variance == variance


@pytest.mark.parametrize("respacing", ["100", "ddim10", "10,20,30"])
def test_every_number_of_the_schedule_comes_back_through_its_degree(respacing):
    steps = len(Options(timestep_respacing=respacing).timesteps())
    options = Options(
        timestep_respacing=respacing, variation_degree_schedule=",".join(map(str, range(steps)))
    )
    degrees = ImprovedDiffusion.degrees(options)
    assert degrees[0] == 1
    assert degrees == tuple(sorted(degrees, reverse=True))
    assert min(degrees) > 0
    assert [round((1 - degree) * steps) for degree in degrees] == list(range(steps))


def test_degrees_of_the_seed():
    options = Options(variation_degree_schedule="0, 2,40")
    np.testing.assert_allclose(ImprovedDiffusion.degrees(options), [1, 0.98, 0.6])
    assert ImprovedDiffusion.degrees(Options()) == ()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"variation_degree_schedule": "0,100"}, "has 100, but .*'100' makes 100 steps.* to 99"),
        ({"variation_degree_schedule": "10", "timestep_respacing": "ddim10"}, "has 10.* to 9"),
        ({"variation_degree_schedule": "0,-1"}, "'-1' is no whole number"),
        ({"variation_degree_schedule": "0.5"}, "'0.5' is no whole number"),
        ({"timestep_respacing": "5000"}, "a section of 4000 steps has no 5000. Give a number"),
        ({"timestep_respacing": "0"}, "leaves no step"),
        ({"timestep_respacing": "fast"}, "'fast' is no whole number"),
        ({"model_image_size": 128}, "128, but such models are of 32, 64, 256 pixels"),
        ({"attention_resolutions": "16,7"}, "has 7, but .* 64, 32, 16, 8"),
        ({"attention_resolutions": "all"}, "'all' is no whole number"),
        ({"num_channels": 100}, "100, but must be a multiple of 32"),
        ({"num_heads": 5}, "num_heads is 5, but 192 channels"),
        ({"num_heads_upsample": 7}, "num_heads_upsample is 7"),
        ({"noise_schedule": "square"}, "must be one of linear, cosine"),
        ({"diffusion_steps": 4}, "must lie from 50"),
    ],
)
def test_what_cannot_be_is_said(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Options(**options)
