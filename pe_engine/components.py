"""Generators and embedders by name, their options, and the device they run on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS
from pe_engine.generators.options import KINDS, Option, declared


def load_class(table: dict[str, str], name: str) -> type:
    """The class that ``name`` stands for in ``GENERATORS`` or ``EMBEDDERS``."""
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def generator_options(name: str) -> list[Option]:
    """The options of a generator, in the order it declares them."""
    return declared(load_class(GENERATORS, name).Options)


def checked_options(name: str, given: Mapping[str, Any]) -> Any:
    """The ``Options`` of a generator with these values.

    Raises:
        ConfigError: an unknown option, or a value out of its range.
    """
    known = [option.name for option in generator_options(name)]
    for option in given:
        if option not in known:
            raise ConfigError(f"{name} has no option {option!r}. It has: {', '.join(known)}.")
    return load_class(GENERATORS, name).Options(**given)


def parse_generator_options(name: str, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Options typed as text, as values of the types that the generator declares.

    Raises:
        ConfigError: a text that is no such value.
    """
    known = {option.name: option for option in generator_options(name)}
    values = {}
    for option_name, text in given:
        option = known.get(option_name)
        try:
            values[option_name] = (
                option.parse(text) if option else text
            )  # refused by checked_options
        except ValueError as error:
            raise ConfigError(
                f"The option {option_name} of {name} is {text!r}, but must be {KINDS[option.kind]} "
                f"such as {'auto' if option.default is None else option.default}."
            ) from error
    return values


def fitting_size(name: str, given: Mapping[str, Any], asked: int | None) -> int:
    """The image size in pixels of a generator with these options; see ``Generator.fitting_size``.

    Raises:
        ConfigError: as ``checked_options``, or no image can be of the size asked for.
        GeneratorError: the options name a model that cannot be found.
    """
    return load_class(GENERATORS, name).fitting_size(checked_options(name, given), asked)


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
