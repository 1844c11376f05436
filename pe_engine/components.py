"""Generators and embedders by name, their options, and the device they run on."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pe_engine import hub
from pe_engine.errors import ConfigError
from pe_engine.files import typed_path
from pe_engine.generators import GENERATORS, custom, is_custom
from pe_engine.generators.base import Generator
from pe_engine.generators.options import KINDS, Option, check_options, declared

NVIDIA = Path("/proc/driver/nvidia/gpus")


def load_class(table: dict[str, str], name: str) -> type:
    """The class that ``name`` stands for in ``GENERATORS`` or ``EMBEDDERS``."""
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def generator_class(name: str) -> type[Generator]:
    """The generator called ``name`` in ``GENERATORS``, or by its user as ``file.py:Class`` or
    ``module:Class``.

    Raises:
        ConfigError: there is none such.
    """
    if name in GENERATORS:
        return load_class(GENERATORS, name)
    if not is_custom(name):
        raise ConfigError(
            f"The generator {name!r} is not known. Choose one of {', '.join(GENERATORS)}, or give "
            "your own as file.py:Class."
        )
    return custom.load(name)


def generator_options(name: str) -> list[Option]:
    """The options of a generator, in the order it declares them."""
    return declared(generator_class(name).Options)


def checked_options(name: str, given: Mapping[str, Any]) -> Any:
    """The ``Options`` of a generator with these values.

    Raises:
        ConfigError: an unknown option, or a value out of its range.
    """
    known = [option.name for option in generator_options(name)]
    for option in given:
        if option not in known:
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise ConfigError(f"{name} has no option {option!r}. {has}")
    options = generator_class(name).Options(**given)
    check_options(options)
    return options


def chosen(name: str, given: Mapping[str, Any]) -> tuple[type[Generator], Any]:
    """The generator called ``name`` and its ``Options`` with these values.

    Raises:
        ConfigError: as ``checked_options``.
    """
    return generator_class(name), checked_options(name, given)


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
                f"The option {option_name} of {name} is {text!r}, but must be {KINDS[option.kind]}"
                + (", or auto." if option.default is None else f" such as {option.default}.")
            ) from error
    return values


def parse_option_text(name: str, text: str) -> dict[str, Any]:
    """The options of a generator that are typed in one line: ``steps=8; guidance=2``.

    Raises:
        ConfigError: a part is no ``name=value``, or no such value.
    """
    given = []
    for part in filter(None, map(str.strip, text.split(";"))):
        option, sign, value = part.partition("=")
        if not sign or re.search(r",\s*\w+=", value):
            raise ConfigError(
                f"The options of {name} say {part!r}. Write them as name=value; name=value."
            )
        given.append((option.strip(), value.strip()))
    return parse_generator_options(name, given)


def settled_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same options with the whole path of what lies on this computer.

    Raises:
        ConfigError: as ``checked_options``.
    """
    kind, options = chosen(name, given)
    parts = iter(kind.parts(options))
    settled = dict(given)
    for option in generator_options(name):
        value = given.get(option.name)
        if value and option.opens in ("model", "path"):
            path = typed_path(value)
            if option.opens == "path" or path.is_dir():
                settled[option.name] = str(path.resolve())
        if option.opens == "options":
            inner = settled_options(*next(parts))
            settled[option.name] = "; ".join(f"{n}={typed_option(v)}" for n, v in inner.items())
    return settled


def typed_option(value: Any) -> str:
    """What a person types for it; ``Option.parse`` reads it back."""
    return "auto" if value is None else str(value)


def shown_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A generator's options as others may see them: of a path the last name, of an address the
    host, since the rest may say whose computer it is."""
    kind, options = chosen(name, given)
    opens = {option.name: option.opens for option in generator_options(name)}
    shown = {}
    for option, value in given.items():
        if opens[option] == "model":
            value = last_name(value)
        elif opens[option] == "path":
            value = _last_part(value)
        elif opens[option] == "address":
            value = urlsplit(value).hostname or ""
        if opens[option] != "options":
            shown[option] = value
    for part, its_options in kind.parts(options):
        shown[part] = shown_options(part, its_options)
    return shown


def opened_paths(name: str, given: Mapping[str, Any]) -> list[str]:
    """What a generator with these options opens on this computer: models and paths."""
    kind, options = chosen(name, given)
    paths = [
        getattr(options, option.name)
        for option in generator_options(name)
        if option.opens in ("model", "path") and getattr(options, option.name)
    ]
    return [*paths, *(p for part in kind.parts(options) for p in opened_paths(*part))]


def last_name(path: str) -> str:
    """A file or folder without those that it lies in; a name on the hub as it is."""
    return path if hub.is_name(path) else _last_part(path)


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def fitting_size(name: str, given: Mapping[str, Any], asked: int | None) -> int:
    """The image size in pixels of a generator with these options; see ``Generator.fitting_size``.

    Raises:
        ConfigError: as ``checked_options``, or no image can be of the size asked for.
        GeneratorError: the options name a model that cannot be found.
    """
    kind, options = chosen(name, given)
    return kind.fitting_size(options, asked)


def closed_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that open nothing, which any viewer may see."""
    opens = {option.name: option.opens for option in generator_options(name)}
    return {option: value for option, value in given.items() if not opens[option]}


def has_gpu(drivers: Path = NVIDIA) -> bool:
    """Whether this machine has an NVIDIA GPU, told without loading torch; on Linux only."""
    return drivers.is_dir()


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


def is_out_of_memory(problem: RuntimeError) -> bool:
    """Whether it says that the memory of a GPU is full."""
    import torch

    return isinstance(problem, torch.OutOfMemoryError)
