"""What visitors of a shared server may have it open."""

import pytest

from pe_engine.components import generator_options
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS
from pe_engine.presets import PRESETS
from pe_engine.ui.choosing import shown_presets
from pe_engine.ui.public_models import (
    PAID,
    PUBLIC_MODELS,
    WITH_PATHS,
    check_public,
    shown_generators,
)

OPTIONS = [(name, option) for name in GENERATORS for option in generator_options(name)]
PLAIN_TEXTS = {  # read, sent to a text encoder or drawn, but never opened
    "hf_inference": {"model", "negative_prompt", "template", "variation_model"},
    "improved_diffusion": {
        "attention_resolutions",
        "timestep_respacing",
        "variation_degree_schedule",
    },
    "openai_images": {"edit_prompt", "model", "size", "template"},
    "stable_diffusion": {"negative_prompt", "template"},
}


def config(generator="stable_diffusion", initial="", **options):
    return RunConfig(
        dataset_name="x", generator=generator, initial=initial, generator_options=options
    )


@pytest.mark.parametrize("generator", shown_generators(owner=False))
def test_what_a_server_offers_works_with_its_defaults(generator):
    check_public(config(generator))


@pytest.mark.parametrize("option", ["model", "variation_model", "preview_autoencoder"])
def test_only_public_models_may_be_named(option):
    for model in ("", *PUBLIC_MODELS):
        check_public(config(**{option: model}))
    for model in ("/etc", "~", ".", "someone/else", " " + PUBLIC_MODELS[0], "../main"):
        with pytest.raises(ConfigError, match=f"for the option {option}"):
            check_public(config(**{option: model}))


def test_a_generator_inside_another_one_is_no_way_round():
    check_public(config("composite", model_options="steps=2"))
    with pytest.raises(ConfigError, match="for the option model"):
        check_public(config("composite", model_options="steps=2; model=/etc"))


@pytest.mark.parametrize(
    ("generator", "option"),
    [(name, o.name) for name, o in OPTIONS if o.opens in ("path", "address")],
)
def test_no_path_and_no_address_is_opened(generator, option, monkeypatch):
    monkeypatch.setattr("pe_engine.ui.public_models.PAID", ())
    monkeypatch.setattr("pe_engine.ui.public_models.WITH_PATHS", ())
    needed = {"endpoint": "https://a.example"} if option == "variation_endpoint" else {}
    with pytest.raises(ConfigError, match=rf"typed for the option ({option}|endpoint)"):
        check_public(config(generator, **needed | {option: "https://a.example/etc"}))


@pytest.mark.parametrize("generator", [*PAID, *WITH_PATHS, "own.py:Class", "os:path"])
def test_nobody_spends_the_servers_key_or_runs_code(generator):
    with pytest.raises(ConfigError, match="does not offer the generator"):
        check_public(config(generator))
    assert generator not in shown_generators(owner=False)


def test_no_run_is_started_from_a_path():
    with pytest.raises(ConfigError, match="opens no path"):
        check_public(config(initial="/etc/samples.npz"))


def test_every_option_that_may_hold_any_text_is_known():
    """A new one must say what it opens, or be put among the plain texts."""
    free = {name: set() for name in GENERATORS}
    for name, option in OPTIONS:
        if option.kind is str and not option.choices and not option.opens:
            free[name].add(option.name)
    assert {name: texts for name, texts in free.items() if texts} == PLAIN_TEXTS


def test_presets_that_a_server_would_refuse_are_not_offered():
    offered = shown_presets(owner=False)
    assert {"handwriting", "text", "cats"} <= set(offered) < set(PRESETS)
    assert shown_presets(owner=True) == list(PRESETS)
