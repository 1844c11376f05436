"""Every preset is a run that can be started, and the cats are those of the public seed."""

import pytest

from pe_engine.build import plan_budget
from pe_engine.components import checked_options
from pe_engine.config import RunConfig
from pe_engine.presets import FIRST, PRESETS
from pe_engine.privacy.accounting import epsilon_spent

CATS = RunConfig(dataset_name="cats", **PRESETS["cats"].settings)


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
