"""Settings -> the command line that repeats the run: the way back from ``arguments.config_of``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from pe_engine.components import generator_options, typed_option
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS


def command_line(config: RunConfig, data: str = "DATA", out: str = "OUT") -> str:
    """One line for a POSIX shell; what has its default is left out.

    Args:
        data: where the private images lie, or a word that stands for it.
        out: the folder to make.

    Raises:
        ConfigError: a class, or its prompt, begins with "-", which no command line can say.
    """
    parts = ["python", "-m", "pe_engine", "run", data, "--output", out]
    for field in fields(config):
        value = getattr(config, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value != default:
            value = _chosen_options(config) if field.name == "generator_options" else value
            parts += _SPECIAL.get(field.name, _plain)(field.name, value)
    return shlex.join(parts)


def _plain(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is True:
        return [flag]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [f"{flag}={text}"]


def _chosen_options(config: RunConfig) -> dict[str, Any]:
    """Those that have not their defaults; all of a generator of one's own, whose file may be
    elsewhere."""
    given = dict(config.generator_options)
    if config.generator not in GENERATORS:
        return given
    defaults = {option.name: option.default for option in generator_options(config.generator)}
    return {name: v for name, v in given.items() if name not in defaults or v != defaults[name]}


def _options(_: str, options: Mapping[str, Any]) -> list[str]:
    return [f"--option={name}={typed_option(value)}" for name, value in options.items()]


def _prompts(_: str, prompts: tuple[str, ...]) -> list[str]:
    return [f"--prompt={text}" for text in prompts]


def _class_prompts(_: str, prompts: Mapping[str, tuple[str, ...]]) -> list[str]:
    said = [(name, text) for name, texts in prompts.items() for text in texts]
    return [part for pair in said for part in ("--class-prompt", *_pair(*pair))]


def _class_map(_: str, new_names: Mapping[str, str]) -> list[str]:
    return [part for pair in new_names.items() for part in ("--class-map", *_pair(*pair))]


def _pair(first: str, second: str) -> tuple[str, str]:
    """Two words after one flag."""
    for word in (first, second):
        if word.startswith("-"):
            raise ConfigError(
                f"The word {word!r} begins with '-', so that no command line can say it. Use these "
                "settings on the page."
            )
    return first, second


_SPECIAL: dict[str, Callable[[str, Any], list[str]]] = {
    "generator_options": _options,
    "prompts": _prompts,
    "class_prompts": _class_prompts,
    "class_map": _class_map,
}
