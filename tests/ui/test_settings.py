"""What the fields say, as settings and sentences."""

import pytest

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.ui.settings import (
    decimal,
    number,
    numbers,
    optional_number,
    read_config,
    read_prompts,
)

FIELDS = {
    "dataset_name": " ward ",
    "generator": "text_render",
    "prompts": "",
    "initial": "",
    "epsilon": "1.0",
    "delta": "1e-5",
    "iterations": "5",
    "num_samples": "1000",
    "lookahead": "4",
    "threshold": "auto",
    "degrees": "auto",
    "selection": "proportional",
    "keep_selected": False,
    "fresh_children": False,
    "seed": "0",
    "embedder": "pixels",
    "metric": "l2",
    "neighbours": "1",
    "search": "faiss",
    "image_size": "auto",
    "device": "auto",
    "adjacency": "add-remove",
    "epsilon_cap": "",
    "classes": "auto",
    "class_names": "",
    "class_map": "",
    "persons": "none",
    "person_votes": "1",
    "public_class_names": False,
    "keep_features": False,
}


def test_untouched_fields_are_the_defaults():
    assert read_config(FIELDS, [], ("",)) == RunConfig(dataset_name="ward")


def test_schedules_caps_and_options_are_read():
    changed = FIELDS | {
        "num_samples": "300, 200,100",
        "iterations": "2",
        "degrees": "1, 0.5",
        "threshold": "2.5",
        "epsilon_cap": "4",
    }
    config = read_config(changed, [("rotation", "20")], ("",))
    assert config.num_samples == (300, 200, 100)
    assert config.degrees == (1.0, 0.5)
    assert (config.threshold, config.epsilon_cap) == (2.5, 4.0)
    assert config.generator_options == {"rotation": 20.0}


def test_a_line_that_begins_with_a_known_class_is_bound_to_it():
    text = "a photo\n\n cat: a cat asleep \ncat:a cat awake\nnote: no class\ndog:"
    assert read_prompts(text, ("cat", "dog")) == (
        ("a photo", "note: no class", "dog:"),
        {"cat": ("a cat asleep", "a cat awake")},
    )
    assert read_prompts(": x", ("",)) == ((": x",), {})
    assert read_prompts("a:b: x\na: y", ("a", "a:b")) == ((), {"a:b": ("x",), "a": ("y",)})


@pytest.mark.parametrize("typed", ["3", "3.0", 3, 3.0, " 3 ", "3e0"])
def test_whole_numbers_in_every_spelling(typed):
    value = number("seed", typed, int)
    assert value == 3 and isinstance(value, int)


@pytest.mark.parametrize("typed", ["3.5", 3.5, "many", "nan", "inf", "1e30", "1e999999999", True])
def test_what_is_no_whole_number_is_a_sentence(typed):
    with pytest.raises(ConfigError, match="not a whole number"):
        number("seed", typed, int)


def test_large_whole_numbers_stay_exact():
    assert number("seed", "9007199254740993", int) == 9007199254740993


def test_empty_is_a_sentence_or_the_default():
    with pytest.raises(ConfigError, match="ε is empty"):
        number("ε", "", float)
    assert optional_number("cap", " ") is None
    assert numbers("degrees", None, float) == ()


@pytest.mark.parametrize(
    ("value", "shown"), [(0.99996, "1.0"), (0.67, "0.67"), (12.5, "12.5"), (100, "100.0")]
)
def test_epsilon_always_has_a_decimal_point(value, shown):
    assert decimal(value) == shown
