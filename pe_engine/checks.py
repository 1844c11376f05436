"""Checks of settings: each says the name, the value, the bound and what to do.

All raise ``ConfigError``.
"""

from __future__ import annotations

import math

from pe_engine.errors import ConfigError


def check_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"The {name} {value!r} is not known. Choose one of {', '.join(allowed)}.")


def check_within(name: str, value: float, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        typed = repr(value).removesuffix(".0")
        raise ConfigError(
            f"The {name} is {typed}, but must lie from {low:g} to {high:g}. Change it."
        )


def check_whole(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(
            f"The {name} is {value!r}, but must be a whole number from {low} to {high}. Change it."
        )


def check_length(name: str, values: tuple, allowed: tuple[int, int]) -> None:
    if len(values) not in allowed:
        raise ConfigError(
            f"The {name} has {len(values)} entries, but needs {max(allowed)} for this number of "
            f"iterations{' or one for all' if min(allowed) else ', or none for the default'}."
        )
