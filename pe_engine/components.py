"""Generators and embedders by name, their options, and the device they run on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def load_class(table: dict[str, str], name: str) -> type:
    """The class that ``name`` stands for in ``GENERATORS`` or ``EMBEDDERS``."""
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def generator_options(name: str) -> list[tuple[str, Any, str]]:
    """(name, default, help) of each option of a generator, in the order it declares them."""

    options = fields(load_class(GENERATORS, name).Options)
    return [(f.name, f.default, f.metadata["help"]) for f in options]


def checked_options(name: str, given: Mapping[str, Any]) -> Any:
    """The ``Options`` of a generator with these values.

    Raises:
        ConfigError: an unknown option, or a value out of its range.
    """
    known = [option for option, _, _ in generator_options(name)]
    for option in given:
        if option not in known:
            raise ConfigError(f"{name} has no option {option!r}. It has: {', '.join(known)}.")
    return load_class(GENERATORS, name).Options(**given)


def parse_generator_options(name: str, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Options typed as text, as values of the types that the generator declares.

    Raises:
        ConfigError: a text that is no such value.
    """
    defaults = {option: default for option, default, _ in generator_options(name)}
    values = {}
    for option, text in given:
        kind = type(defaults.get(option, text))  # an unknown one is refused by checked_options
        try:
            values[option] = _TRUTH[text.lower()] if kind is bool else kind(text)
        except (ValueError, KeyError) as error:
            raise ConfigError(
                f"The option {option} of {name} is {text!r}, but must be a {kind.__name__} such as "
                f"{defaults[option]}."
            ) from error
    return values


def resolve_device(device: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises:
        ConfigError: "cuda" was asked for and no GPU is there.
    """
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("The device is cuda, but torch sees no GPU. Choose auto or cpu.")
    return "cuda" if device != "cpu" and available else "cpu"
