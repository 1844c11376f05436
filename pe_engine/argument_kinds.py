"""How the command line reads the kinds of values that settings have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from pe_engine.config import RunConfig


def adder(
    parser: argparse.ArgumentParser, kept_in: type = RunConfig, typed_only: bool = False
) -> Callable[..., None]:
    """Adds ``--some-name`` for the setting ``some_name`` with the default of its dataclass.

    Args:
        typed_only: what was not typed is missing from the result; the help shows the default still.
    """
    defaults = {f.name: None if f.default is MISSING else f.default for f in fields(kept_in)}

    def add(name: str, kind: Callable, text: str, **extra: object) -> None:
        flag = "--" + name.replace("_", "-")
        default = defaults[name]
        kept = argparse.SUPPRESS if typed_only else default
        if kind is bool:
            parser.add_argument(flag, action="store_true", default=kept, help=text)
            return
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        if shown not in (None, ""):
            text = f"{text} (default: {shown})"
        parser.add_argument(flag, type=kind, default=kept, help=text, **extra)

    return add


def numbers(kind: Callable[[str], float]) -> Callable[[str], tuple]:
    """Numbers separated by commas."""

    def numbers(text: str) -> tuple:
        return tuple(kind(part) for part in text.split(",") if part.strip())

    return numbers


def words(text: str) -> tuple[str, ...]:
    """Words separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def auto(kind: Callable[[str], Any], meaning: Any = None) -> Callable[[str], Any]:
    """What ``kind`` makes of a text, or ``meaning`` of 'auto'."""

    def value(text: str) -> Any:
        return meaning if text == "auto" else kind(text)

    return value


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE as its two parts."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
