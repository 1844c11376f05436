"""The cards say of each generator what is true on this computer."""

import pytest
from PIL import Image

from pe_engine.components import generator_class
from pe_engine.generators import GENERATORS
from pe_engine.presets import PRESETS
from pe_engine.ui.cards import (
    AT_ONCE,
    availability,
    generator_cards,
    preset_chips,
    suggestions,
)
from pe_engine.ui.parts import ASSETS


def card(name):
    return generator_class(name).card


def test_a_key_that_is_missing_is_named():
    assert availability(card("openai_images"), {}, True) == (False, "needs OPENAI_API_KEY")
    assert availability(card("openai_images"), {"OPENAI_API_KEY": " "}, True)[0] is False
    assert availability(card("openai_images"), {"OPENAI_API_KEY": "k"}, False) == (True, "ready")


def test_without_a_gpu_a_large_model_is_slow():
    assert availability(card("improved_diffusion"), {}, False) == (False, "slow here: no GPU found")
    assert availability(card("improved_diffusion"), {}, True) == (True, "ready")


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_shown_at_once_runs_anywhere(name):
    assert availability(card(name), {}, False) == (True, "ready")
    assert card(name).needs.startswith("nothing")


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_has_a_small_picture(name):
    path = ASSETS / "pictures" / "generators" / f"{name}.webp"
    assert path.stat().st_size <= 12 * 1024
    with Image.open(path) as picture:
        assert picture.size == (112, 112)


def test_all_generators_are_offered_once_and_the_others_are_folded():
    shown = generator_cards([*GENERATORS], "this computer")
    at_once, folded = shown.split("<details>")
    for name in GENERATORS:
        assert shown.count(f'value="{name}"') == 1
        assert (f'value="{name}"' in at_once) is (name in AT_ONCE)
    assert "Runs on OpenAI&#x27;s servers" in folded
    assert "<details>" not in generator_cards(AT_ONCE, "the server")


def test_templates_hold_nothing_that_gradio_would_fill_in():
    for text in (generator_cards([*GENERATORS], "x"), preset_chips([*PRESETS])):
        assert "${" not in text and "{{" not in text


def test_suggestions_have_at_most_the_class_to_fill_in():
    for ideas in suggestions([*GENERATORS]).values():
        assert all(idea.format(**{"class": "3"}) for idea in ideas)
