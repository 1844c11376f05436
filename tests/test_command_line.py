"""The command line of a run's settings says them again, whatever they are."""

import shlex
import string
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe_engine import config as bounds
from pe_engine.arguments import build_parser, config_of
from pe_engine.command_line import command_line
from pe_engine.components import generator_options
from pe_engine.config import RunConfig
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS

shown = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
text = st.text(shown, min_size=1, max_size=20)
name = st.text(string.printable + "äλ漢", min_size=1, max_size=9).filter(
    lambda text: text == text.strip() and not {"/", ","} & set(text)
)
word = text.filter(lambda text: not text.startswith("-"))
degree = st.floats(0, 1)


def option_values(option):
    if option.choices:
        return st.sampled_from(option.choices)
    low, high = option.bounds
    values = {
        bool: st.booleans(),
        int: st.integers(low, high),
        float: st.floats(low, high, allow_nan=False, allow_infinity=False),
        str: text,
    }[option.kind]
    if option.default is None and option.kind is str:  # they mean None
        values = values.filter(lambda text: text.strip().lower() not in ("", "auto"))
    return values | st.none() if option.default is None else values


@st.composite
def configs(draw):
    """Settings of any run, most of them not the defaults."""
    iterations = draw(st.integers(1, 4))
    generator = draw(st.sampled_from(list(GENERATORS)))
    options = {o.name: option_values(o) for o in generator_options(generator)}
    persons = draw(st.sampled_from(bounds.PERSON_RULES))
    classes = draw(st.sampled_from(("folder", "prefix")))
    declared = draw(st.lists(name, max_size=3, unique=True))
    renamed = st.sampled_from(["", *([] if declared else ["cat", "big dog", "漢"])])
    count = st.integers(1, 10_000)
    values = {
        "dataset_name": text.filter(str.strip),
        "generator_options": st.fixed_dictionaries({}, optional=options),
        "initial": st.just("") | text,
        "embedder": st.sampled_from(list(EMBEDDERS)),
        "metric": st.sampled_from(bounds.METRICS),
        "neighbours": st.integers(1, 100),
        "search": st.sampled_from(bounds.SEARCHES),
        "epsilon": st.floats(*bounds.EPSILON_RANGE),
        "delta": st.floats(*bounds.DELTA_RANGE),
        "adjacency": st.sampled_from(bounds.ADJACENCIES),
        "epsilon_cap": st.none() | st.floats(*bounds.EPSILON_RANGE),
        "num_samples": st.tuples(count) | st.tuples(*[count] * (iterations + 1)),
        "lookahead": st.integers(0, 64),
        "threshold": st.none() | st.floats(0, 1e9),
        "selection": st.sampled_from(bounds.SELECTIONS),
        "keep_selected": st.booleans(),
        "fresh_children": st.booleans(),
        "degrees": st.just(()) | st.tuples(*[degree] * iterations),
        "class_names": st.just(declared),
        "class_map": st.dictionaries(word, renamed, max_size=2),
        "person_votes": st.integers(1, 100) if persons != "none" else st.just(1),
        "public_class_names": st.booleans(),
        "prompts": st.lists(st.text(shown, max_size=20), max_size=3),
        "class_prompts": st.dictionaries(word, st.lists(word, min_size=1, max_size=2), max_size=2),
        "image_size": st.none() | st.integers(*bounds.IMAGE_SIZE_RANGE),
        "seed": st.integers(0, 2**63 - 1),
        "device": st.sampled_from(bounds.DEVICES),
        "keep_features": st.booleans(),
    }
    fixed = {
        "iterations": iterations,
        "generator": generator,
        "persons": persons,
        "classes": classes,
    }
    assert set(values) | set(fixed) == {field.name for field in fields(RunConfig)}
    return RunConfig(**fixed, **draw(st.fixed_dictionaries(values)))


def said(line):
    """What the program makes of a line that a shell has taken apart."""
    python, dash_m, program, *arguments = shlex.split(line)
    assert (python, dash_m, program) == ("python", "-m", "pe_engine")
    return build_parser().parse_args(arguments)


@settings(max_examples=60, deadline=None)
@given(configs(), text.filter(lambda text: not text.startswith("-")))
def test_the_line_gives_the_same_settings(config, data):
    options = said(command_line(config, data, "my folder"))
    assert (str(options.output), options.command) == ("my folder", "run")
    assert config_of(options) == replace(config, generator_options=said_options(config))


def said_options(config):
    """What has its default does not need to be said."""
    defaults = {o.name: o.default for o in generator_options(config.generator)}
    return {n: value for n, value in config.generator_options.items() if value != defaults[n]}


def test_options_with_their_defaults_are_not_said():
    given = {o.name: o.default for o in generator_options("text_render")}
    line = command_line(RunConfig(dataset_name="digits", generator_options=given))
    assert "--option" not in line


def test_defaults_are_not_said(config):
    plain = RunConfig(dataset_name="digits")
    assert command_line(plain) == (
        "python -m pe_engine run DATA --output OUT --dataset-name=digits"
    )


@pytest.mark.parametrize("prompts", [{"-a": ("x",)}, {"a": ("-x",)}])
def test_what_no_line_can_say_is_a_sentence(config, prompts):
    with pytest.raises(ConfigError, match="begins with '-'"):
        command_line(replace(config, class_prompts=prompts))
