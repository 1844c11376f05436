"""Every preset is a run that can be started, and those of published runs are what these were."""

import shlex
from itertools import takewhile
from math import log

import pytest

from pe_engine.arguments import build_parser, config_of
from pe_engine.build import plan_budget
from pe_engine.components import checked_options
from pe_engine.config import RunConfig
from pe_engine.datasets import DATASETS
from pe_engine.presets import FIRST, PRESETS
from pe_engine.privacy.accounting import epsilon_spent
from pe_engine.reporting import describe_presets
from pe_engine.starting import MAX_POPULATION_BYTES


def preset(name):
    return RunConfig(dataset_name=name, **PRESETS[name].settings)


CATS = preset("cats")
CIFAR10 = ("cifar10_conditional", "cifar10_unconditional")
CAMELYON17 = "camelyon17_conditional"
MNIST = preset("mnist")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_used(name):
    settings = PRESETS[name].settings
    config = RunConfig(dataset_name="x", **settings)
    checked_options(config.generator, config.generator_options)
    # what belongs to the owner's images and guards them is never set by a preset
    assert not set(settings) & {"dataset_name", "public_class_names", "epsilon_cap", "adjacency"}


def test_the_page_starts_from_one_of_them():
    assert FIRST in PRESETS


def test_text_is_what_a_run_does_by_default():
    assert RunConfig(dataset_name="x", **PRESETS["text"].settings) == RunConfig(dataset_name="x")


def test_the_cats_spend_no_more_than_the_seeds_noise():
    sigma = plan_budget(CATS).noise_multiplier
    assert 2 <= sigma < 2.005
    assert CATS.epsilon <= epsilon_spent(2, CATS.delta, 17, 1, "add-remove") < CATS.epsilon + 0.01


def test_the_cats_have_the_seeds_schedule():
    theirs = "1.0,0.98,0.96,0.94,0.92,0.88,0.84,0.8,0.76,0.72,0.68,0.64,0.6,0.56,0.52,0.48,0.44,0.4"
    assert (1.0, *CATS.degree_schedule) == tuple(map(float, theirs.split(",")))
    assert CATS.sample_schedule == (100,) * 18
    assert (CATS.image_size, CATS.lookahead, CATS.threshold) == (512, 8, 2)


def printed(name):
    """The flags that ``python -m pe_engine presets`` prints of one."""
    lines = describe_presets().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}: ")) + 1
    return list(takewhile(lambda line: line.startswith(" "), lines[start:]))


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_printed_can_be_typed(name):
    words = shlex.split("\n".join(printed(name)))
    typed = build_parser().parse_args(["run", "data", "--output", "out", *words])
    assert config_of(typed) == RunConfig(dataset_name="data", **PRESETS[name].settings)


def test_mnist_has_sim_pes_settings():
    assert MNIST.epsilon == 10
    assert 0.99 / (55_000 * log(55_000)) < MNIST.delta <= 1 / (55_000 * log(55_000))
    assert MNIST.sample_schedule == (60_000,) * 5
    assert (MNIST.image_size, MNIST.lookahead, MNIST.threshold) == (28, 8, 1)
    assert plan_budget(MNIST).noise_multiplier == pytest.approx(1.05, abs=0.01)


def test_mnist_varies_as_much_as_sim_pe_on_average():
    fonts, sizes = (1.0, 0.8, 0.4, 0.2, 0.0), (6, 5, 4, 3, 2)  # of 19 from 10 to 29
    turns, strokes = (11, 9, 7, 5, 3), (1, 1, 1, 0, 0)  # of 60 and of 2
    means = [
        (f + s / 19 + r / 60 + w / 2) / 4
        for f, s, r, w in zip(fonts, sizes, turns, strokes, strict=True)
    ]
    assert MNIST.degree_schedule == tuple(round(mean, 2) for mean in means[1:])


# What scripts/main_improved_diffusion_*.sh of microsoft/DPSDA at 86f38e3 give to main.py
SEEDS_MODEL = {
    "model_image_size": 64,
    "num_channels": 192,
    "num_res_blocks": 3,
    "learn_sigma": True,
    "class_cond": True,
    "diffusion_steps": 4000,
    "noise_schedule": "cosine",
    "rescale_timesteps": False,
    "use_ddim": True,
    "model_path": "models/imagenet64_cond_270M_250K.pt",
}


@pytest.mark.parametrize(
    ("name", "sigma", "samples", "threshold", "respacing", "schedule"),
    [
        *(
            (name, 7.071, 50_000, 10, "100", ",".join(str(2 * t) for t in range(21)))
            for name in CIFAR10
        ),
        (CAMELYON17, 2.1793, 302_436, 4, "ddim10", "0,0,0,0,0,1,1,1,1,1,2,2,2,2,2,3,3,3,3,3"),
    ],
)
def test_improved_diffusion_runs_are_the_seeds(
    name, sigma, samples, threshold, respacing, schedule
):
    config = preset(name)
    options = checked_options(config.generator, config.generator_options)
    assert {key: getattr(options, key) for key in SEEDS_MODEL} == SEEDS_MODEL
    assert options.timestep_respacing == respacing
    used = schedule.partition(",")[2]  # the first, of generation 0, is never used
    assert options.variation_degree_schedule == used
    assert len(options.starts()) == config.iterations == schedule.count(",")
    assert sigma <= plan_budget(config).noise_multiplier < 1.001 * sigma
    assert config.sample_schedule == (samples,) * (config.iterations + 1)
    assert (config.image_size, config.lookahead, config.threshold) == (64, 8, threshold)
    assert (config.neighbours, config.embedder, config.metric) == (1, "inception", "l2")


def test_classes_are_what_the_seeds_scripts_say():
    assert [preset(name).classes for name in (*CIFAR10, CAMELYON17)] == ["auto", "none", "auto"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_population_fits(name):
    config = preset(name)
    size = config.image_size or 64
    assert 3 * size**2 * max(config.sample_schedule) <= MAX_POPULATION_BYTES


@pytest.mark.parametrize("name", PRESETS)
def test_many_look_ahead_images_need_not_be_kept(name):
    config = preset(name)
    assert config.fresh_children == (max(config.sample_schedule) >= 50_000)


@pytest.mark.parametrize("name", DATASETS)
def test_what_the_data_sets_suggest_can_be_typed(name):
    folder, words = DATASETS[name].run
    arguments = ["run", f"DEST/{folder}", "--output", "OUT", *shlex.split(words)]
    config = config_of(build_parser().parse_args(arguments))
    assert config.dataset_name == folder  # its budget is kept under it, so that none has "train"
