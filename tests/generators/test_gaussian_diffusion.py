"""Diffusion against its equations, computed here in other ways than in the module."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from pe_engine.generators.gaussian_diffusion import GaussianDiffusion, noise_schedule, respaced

COSINE = noise_schedule("cosine", 400)


def diffusion(respacing="40", **settings):
    return GaussianDiffusion(COSINE, respaced(len(COSINE), respacing), **settings)


def tensors(n, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.standard_normal((2, 3, 4, 4))) for _ in range(n)]


def saying(output, v=None):
    """A model that says the same whatever it is shown."""
    both = output if v is None else torch.cat([output, v], dim=1)
    return lambda x, times: both


def alpha_bar(t, steps=400):
    """ᾱ of the cosine schedule after step t = 0, 1, ..., Improved DDPM eq. 17."""

    def f(t):
        return math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    return f(t + 1) / f(0)


# Schedules ----------------------------------------------------------------------------------------


def test_the_cosine_schedule_is_that_of_the_paper():
    made = np.cumprod(1 - noise_schedule("cosine", 400))
    np.testing.assert_allclose(made[:-1], [alpha_bar(t) for t in range(399)], rtol=1e-9)
    assert noise_schedule("cosine", 400)[-1] == 0.999


def test_the_linear_schedule_keeps_its_noise_for_any_number_of_steps():
    thousand, more = noise_schedule("linear", 1000), noise_schedule("linear", 4000)
    np.testing.assert_allclose(thousand[[0, 999]], [1e-4, 0.02])
    np.testing.assert_allclose(np.diff(thousand), 0.0199 / 999)
    np.testing.assert_allclose(more[[0, 3999]], [0.25e-4, 0.005])


# Respacing ----------------------------------------------------------------------------------------


def nearest(length, count, first=0):
    """Evenly spaced whole numbers in exact arithmetic; none lies halfway here."""
    return [first + round(Fraction(length - 1, count - 1) * i) for i in range(count)]


@pytest.mark.parametrize(
    ("steps", "respacing", "kept"),
    [
        (4000, "100", nearest(4000, 100)),
        (4000, "ddim10", list(range(0, 4000, 400))),
        (300, "10,20,30", nearest(100, 10) + nearest(100, 20, 100) + nearest(100, 30, 200)),
        (7, "3,3", [0, 2, 3, 4, 5, 6]),  # sections of 4 and 3 steps
        (5, "", [0, 1, 2, 3, 4]),
        (9, "1", [0]),
        (9, "2", [0, 8]),
    ],
)
def test_timesteps_are_those_of_the_published_code(steps, respacing, kept):
    assert respaced(steps, respacing).tolist() == kept


@pytest.mark.parametrize(
    ("respacing", "reason"),
    [
        ("ddim3001", "no whole stride makes 3001 of 4000"),
        ("4001", "a section of 4000 steps has no 4001"),
        ("10,3990", "a section of 2000 steps has no 3990"),
        ("ten", "'ten' is no whole number"),
        ("-1", "no whole number"),
        ("10,", "'' is no whole number"),
    ],
)
def test_what_cannot_be_spaced_is_said(respacing, reason):
    with pytest.raises(ValueError, match=reason):
        respaced(4000, respacing)


def test_leaps_have_the_noise_of_the_steps_they_leap_over():
    few = diffusion("10")
    np.testing.assert_allclose(np.cumprod(1 - few.betas), few.alpha_bar)
    kept = respaced(400, "10")[:-1]
    np.testing.assert_allclose(few.alpha_bar[:-1], [alpha_bar(t) for t in kept])


# Steps --------------------------------------------------------------------------------------------


def test_noise_is_put_on_as_in_ddpm():
    image, noise = tensors(2)
    made = diffusion("").noised(image, 123, noise)
    kept = alpha_bar(123)
    np.testing.assert_allclose(made, kept**0.5 * image + (1 - kept) ** 0.5 * noise, rtol=1e-9)


@pytest.mark.parametrize("t", [1, 20, 39])
def test_the_mean_of_a_step_follows_from_bayes_rule(t):
    """Two Gaussians multiplied: what x_t and what x_0 say of x_{t-1}."""
    image, x = tensors(2)
    few = diffusion()
    beta, before = few.betas[t], few.alpha_bar[t - 1]
    precision = (1 - beta) / beta + 1 / (1 - before)
    mean = (x * (1 - beta) ** 0.5 / beta + image * before**0.5 / (1 - before)) / precision
    np.testing.assert_allclose(few.posterior_mean(image, x, t), mean, rtol=1e-6)
    np.testing.assert_allclose(few.posterior_variance[t], 1 / precision, rtol=1e-6)


@pytest.mark.parametrize(
    ("variance", "v", "share"),
    [("learned", -1, 0), ("learned", 1, 1), ("learned", 0, 0.5), ("small", 0, 0), ("large", 0, 1)],
)
def test_variances_lie_between_the_posterior_and_beta(variance, v, share):
    """The logarithms are interpolated: Improved DDPM eq. 15."""
    image, x, noise = tensors(3)
    few, t = diffusion(variance=variance, predict_xstart=True), 12
    says = saying(image, torch.full_like(image, v) if variance == "learned" else None)
    added = few.ancestral_step(says, x, t, noise) - few.ancestral_step(says, x, t, None)
    least = few.betas[t] * (1 - few.alpha_bar[t - 1]) / (1 - few.alpha_bar[t])
    expected = least ** (1 - share) * few.betas[t] ** share
    np.testing.assert_allclose(added, expected**0.5 * noise, rtol=1e-6)


def test_an_ancestral_step_is_the_mean_of_the_predicted_image():
    noise, x = tensors(2)
    few, t = diffusion(variance="small", clip_denoised=False), 12
    image = (x - (1 - few.alpha_bar[t]) ** 0.5 * noise) / few.alpha_bar[t] ** 0.5
    made = few.ancestral_step(saying(noise), x, t, None)
    np.testing.assert_allclose(made, few.posterior_mean(image, x, t), rtol=1e-6)


@pytest.mark.parametrize("t", [0, 1, 20, 39])
def test_a_ddim_step_is_equation_12(t):
    noise, x = tensors(2)
    few = diffusion(clip_denoised=False)
    kept, before = few.alpha_bar[t], few.alpha_bar[t - 1] if t else 1.0
    image = (x - (1 - kept) ** 0.5 * noise) / kept**0.5
    expected = before**0.5 * image + (1 - before) ** 0.5 * noise
    made = few.ddim_step(saying(noise, torch.ones_like(noise)), x, t)
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-9 / kept**0.5)


def test_models_of_images_and_of_noise_take_the_same_step():
    image, noise = tensors(2)
    image = image.clamp(-1, 1)
    x = diffusion().noised(image, 12, noise)
    for step in ("ddim_step", "ancestral_step"):
        rest = (x, 12) if step == "ddim_step" else (x, 12, None)
        one = getattr(diffusion(predict_xstart=True), step)(saying(image), *rest)
        other = getattr(diffusion(), step)(saying(noise), *rest)
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


def test_predicted_images_are_clipped_and_the_noise_follows():
    _, x = tensors(2)
    few, t = diffusion(predict_xstart=True), 12
    wild, clipped = (
        few.ddim_step(saying(9 * x), x, t),
        few.ddim_step(saying((9 * x).clip(-1, 1)), x, t),
    )
    np.testing.assert_array_equal(wild, clipped)
    free = diffusion(predict_xstart=True, clip_denoised=False)
    assert not np.allclose(free.ddim_step(saying(9 * x), x, t), wild)


@pytest.mark.parametrize(("rescale", "told"), [(False, 390.0), (True, 390 * 2.5)])
def test_the_model_is_told_the_timesteps_of_its_training(rescale, told):
    seen = []

    def model(x, times):
        seen.append(times.tolist())
        return torch.zeros_like(x)

    few = diffusion("ddim40", rescale_timesteps=rescale)
    few.ddim_step(model, tensors(1)[0], 39)
    assert seen == [[told, told]]


# Whole samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ddim", "small", "large"])
def test_samples_have_the_distribution_that_the_model_knows(way):
    """Pixels drawn from N(0.3, 0.2²): the best prediction of their noise is known."""
    rng = torch.Generator().manual_seed(0)
    many = diffusion("200", variance="learned" if way == "ddim" else way, clip_denoised=False)

    def model(x, times):
        kept = many.alpha_bar[np.flatnonzero(many.timesteps == int(times[0]))[0]]
        return (1 - kept) ** 0.5 * (x - kept**0.5 * 0.3) / (kept * 0.2**2 + 1 - kept)

    def noise():
        return torch.randn((1, 3, 100, 100), generator=rng, dtype=torch.float64)

    made = many.denoised(model, noise(), 199, None if way == "ddim" else noise)
    assert abs(float(made.mean()) - 0.3) < 0.01
    assert abs(float(made.std()) - 0.2) < 0.01


def test_sampling_begins_where_it_is_told_and_takes_every_step():
    seen = []

    def model(x, times):
        seen.append(int(times[0]))
        return torch.zeros_like(x)

    few = diffusion("ddim10")
    few.denoised(model, tensors(1)[0], 3)
    assert seen == [120, 80, 40, 0]


def test_ancestral_steps_draw_noise_for_all_but_the_last():
    drawn = []

    def noise():
        drawn.append(1)
        return torch.zeros(2, 3, 4, 4)

    diffusion(variance="small").denoised(saying(tensors(1)[0]), tensors(1)[0], 3, noise)
    assert len(drawn) == 3
