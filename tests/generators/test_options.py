"""Options are declared once: read from text, checked, and refused with a sentence."""

from dataclasses import dataclass

import pytest

from pe_engine.components import checked_options, parse_generator_options
from pe_engine.errors import ConfigError
from pe_engine.generators.options import check_options, declared, option


@dataclass(frozen=True, kw_only=True)
class Some:
    colour: str = option("red", "which", choices=("red", "blue"))
    steps: int | None = option(None, "how many", low=1, high=9)
    strength: float = option(0.5, "how much", low=0, high=1)
    fast: bool = option(True, "or not")

    def __post_init__(self) -> None:
        check_options(self)


OPTIONS = {one.name: one for one in declared(Some)}


def test_kinds_defaults_and_hints_are_read_from_the_declaration():
    assert {name: one.kind for name, one in OPTIONS.items()} == {
        "colour": str,
        "steps": int,
        "strength": float,
        "fast": bool,
    }
    assert OPTIONS["steps"].default is None
    assert OPTIONS["colour"].choices == ("red", "blue")
    assert OPTIONS["strength"].help == "how much"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "auto", None),
        ("steps", " Auto ", None),
        ("steps", "", None),
        ("steps", "4", 4),
        ("strength", "0.25", 0.25),
        ("fast", "no", False),
        ("fast", "True", True),
        ("colour", "blue", "blue"),
    ],
)
def test_text_is_read_as_the_kind(name, text, value):
    assert OPTIONS[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("steps", "2.5"), ("strength", "auto"), ("fast", "maybe")]
)
def test_other_text_is_refused(name, text):
    with pytest.raises(ValueError):
        OPTIONS[name].parse(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"colour": "green"}, "must be one of red, blue"),
        ({"steps": 0}, "must lie from 1 to 9"),
        ({"steps": 10}, "must lie from 1 to 9"),
        ({"steps": True}, "must be a whole number"),
        ({"steps": 2.0}, "must be a whole number"),
        ({"strength": float("nan")}, "must lie from 0 to 1"),
        ({"strength": None}, "must be a number"),
        ({"fast": "yes"}, "must be yes or no"),
    ],
)
def test_a_value_out_of_range_is_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        Some(**given)


def test_bounds_and_whole_numbers_are_allowed():
    assert Some(steps=1, strength=1).strength == 1
    assert Some(steps=9, strength=0).steps == 9


def test_a_generators_options_are_found_by_its_name():
    given = parse_generator_options("stable_diffusion", [("steps", "12"), ("guidance", "auto")])
    assert given == {"steps": 12, "guidance": None}
    assert checked_options("stable_diffusion", given).steps == 12
    with pytest.raises(ConfigError, match="has no option 'colour'"):
        checked_options("stable_diffusion", {"colour": "red"})
    with pytest.raises(ConfigError, match="must be a whole number, or auto"):
        parse_generator_options("stable_diffusion", [("steps", "many")])
