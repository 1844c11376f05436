"""RunConfig: checked once, at the edge, and a JSON round trip."""

import json

import pytest

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError


def test_json_round_trip():
    config = RunConfig(
        dataset_name="scans",
        num_samples=[10, 20, 30],
        iterations=2,
        degrees=(1.0, 0.5),
        prompts=["a", "b"],
        class_prompts={"x": ["one"]},
        generator_options={"ink": "dark"},
        threshold=3.5,
        classes="folder",
        class_names=["x", "y"],
        class_map={"z": "x", "misc": ""},
        persons="prefix",
        person_votes=3,
    )
    assert RunConfig.from_json(config.to_json()) == config


def test_the_unit_says_how_many_votes_one_more_or_less_moves():
    images = RunConfig(dataset_name="d", neighbours=4)
    assert (images.unit, images.votes_per_unit) == ("image", 4)
    how = {"classes": "none", "persons": "folder", "person_votes": 3}
    persons = RunConfig(dataset_name="d", neighbours=4, **how)
    assert (persons.unit, persons.votes_per_unit) == ("person", 3)


def test_default_schedules():
    config = RunConfig(dataset_name="d")
    assert config.sample_schedule == (1000,) * 6
    rounded = tuple(round(d, 2) for d in config.degree_schedule)
    assert rounded == (1.0, 0.71, 0.5, 0.35, 0.25)
    assert RunConfig(dataset_name="d", iterations=1).degree_schedule == (1.0,)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"epsilon": 0}, "ε.* 0, but must lie from 0.01 to 100"),
        ({"epsilon": float("nan")}, "nan"),
        ({"epsilon": float("inf")}, "inf"),
        ({"epsilon": -1.0}, "is -1,"),
        ({"epsilon": "1"}, "'1'"),
        ({"delta": 0.5}, "δ.*0.5, but must lie from 1e-12 to 0.1"),
        ({"delta": 0.0}, "is 0,"),
        ({"iterations": 0}, "whole number from 1 to 200"),
        ({"iterations": 2.0}, "2.0"),
        ({"iterations": True}, "True"),
        ({"num_samples": (10, 20)}, "2 entries, but needs 6"),
        ({"num_samples": (0,)}, "0"),
        ({"degrees": (0.5,)}, "1 entries, but needs 5"),
        ({"degrees": (2, 0, 0, 0, 0)}, "2, but must lie from 0 to 1"),
        ({"lookahead": -1}, "-1"),
        ({"neighbours": 0}, "0"),
        ({"image_size": 4}, "4"),
        ({"seed": -1}, "-1"),
        ({"threshold": -0.1}, "-0.1"),
        ({"epsilon_cap": 0}, "cap"),
        ({"metric": "l1"}, "'l1' is not known. Choose one of l2, ip, cosine"),
        ({"generator": "dalle"}, "text_render"),
        ({"adjacency": "both"}, "add-remove"),
        ({"dataset_name": " "}, "name"),
        ({"persons": "face"}, "none, folder, outer-folder, inner-folder, prefix"),
        ({"persons": "folder", "person_votes": 101}, "from 1 to 100"),
        ({"person_votes": 2}, "votes of a person are 2, but nothing names"),
        *(
            ({"persons": rule}, "classes is 'auto'")
            for rule in ("prefix", "folder", "inner-folder")
        ),
        ({"classes": "folder", "class_names": ("a", "b", "a")}, "'a' is declared twice"),
        ({"classes": "folder", "class_names": ("a", " ")}, "declared classes is empty"),
        ({"classes": "folder", "class_names": ("a/b",)}, "has a '/'"),
        ({"classes": "prefix", "class_names": ("a,b",)}, "or ','"),
        ({"class_names": ("a",)}, "is 'auto'. Set classes to folder or prefix"),
        ({"classes": "none", "class_names": ("a",)}, "is 'none'"),
        ({"classes": "none", "class_map": {"a": "b"}}, "is 'none'"),
        ({"class_map": {"a": "b/c"}}, "'a' cannot be called 'b/c'"),
        ({"class_map": {"a": " b"}}, "'a' cannot be called ' b'"),
        ({"class_map": {"a": "b\nc"}}, "cannot be called"),
        ({"class_map": {"a": "b" * 101}}, "at most 100 characters"),
        ({"class_map": {"a": 1}}, "must be a text"),
        ({"classes": "folder", "class_names": ("a",), "class_map": {"c": "b"}}, "none of the decl"),
    ],
)
def test_bad_settings_say_value_and_bound(setting, words):
    with pytest.raises(ConfigError, match=words):
        RunConfig(**{"dataset_name": "d", **setting})


def test_bad_json_is_refused():
    with pytest.raises(ConfigError, match="not valid JSON"):
        RunConfig.from_json("{")
    for class_map in (["ab"], ["abc"], "ab", 1):
        with pytest.raises(ConfigError, match="of another kind"):
            RunConfig.from_json(json.dumps({"dataset_name": "d", "class_map": class_map}))
    text = json.dumps({"dataset_name": "d", "sigma": 1})
    with pytest.raises(ConfigError, match="Unknown setting 'sigma'"):
        RunConfig.from_json(text)
