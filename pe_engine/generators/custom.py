"""Generators that users write: ``file.py:Class`` or ``module:Class``, run as their own code."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from pe_engine.errors import ConfigError
from pe_engine.files import typed_path
from pe_engine.generators.base import Generator


def settled(name: str) -> str:
    """``name`` with the whole path of its file, so that it can be found from anywhere later."""
    place, _, kind = name.rpartition(":")
    return f"{typed_path(place).resolve()}:{kind}" if place.endswith(".py") else name


def load(name: str) -> type[Generator]:
    """The user's class; importing its file runs it.

    Raises:
        ConfigError: no such file, module or class, or it is no generator.
    """
    place, _, kind = name.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _by_name(place)
    found = getattr(module, kind, None)
    if found is None:
        raise ConfigError(f"{place} has no class {kind!r}. Check the name after the colon.")
    if not (isinstance(found, type) and issubclass(found, Generator)):
        raise ConfigError(
            f"{kind} in {place} is no generator. Make it a class that inherits from "
            "pe_engine.generators.base.Generator."
        )
    missing = sorted(found.__abstractmethods__) + ["summary"] * (not hasattr(found, "summary"))
    if missing:
        raise ConfigError(f"The generator {kind} in {place} lacks {', '.join(missing)}. Add it.")
    return found


def _from_file(path: Path) -> object:
    name = f"pe_custom_{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded  # one class, however often it is asked for
    if not path.is_file():
        raise ConfigError(f"There is no file {path}. Give the path of the generator's Python file.")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]  # a second try shall not find half of it
        if isinstance(error, (SyntaxError, ImportError)):
            raise ConfigError(f"The file {path} cannot be loaded: {error}. Mend it.") from error
        raise
    return module


def _by_name(name: str) -> object:
    try:
        return importlib.import_module(name)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{name!r} is no name of a Python module. Give a module, or a file: my_own.py:Class."
        ) from error
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise  # something that the module itself imports
        raise ConfigError(
            f"There is no Python module {name!r}. Install it, or give a file: my_own.py:Class."
        ) from error
