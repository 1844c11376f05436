"""What a run costs the server: work and disk, as far as its settings tell."""

from __future__ import annotations

import shutil
from pathlib import Path

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, RunError

MAX_ITERATIONS = 50
MAX_LOOKAHEAD = 16
MAX_PIXELS = 2 * 10**10
"""Of all candidates and their look-ahead variations; "cats" makes 4 · 10^9."""

MAX_STORED_BYTES = 8 * 2**30
LEAST_SIDE = 64
"""Pixels; a smaller image is embedded with as much work."""

KEPT_FREE_BYTES = 2**30
CHANNELS = 3


def check_work(config: RunConfig) -> None:
    """That a visitor's run does not keep a shared server from all others.

    Args:
        config: with its image size.

    Raises:
        ConfigError: it makes or stores too much.
    """
    if config.iterations > MAX_ITERATIONS:
        raise ConfigError(
            f"This server takes at most {MAX_ITERATIONS} iterations, not {config.iterations}."
        )
    if config.lookahead > MAX_LOOKAHEAD:
        raise ConfigError(
            f"This server takes a look-ahead of at most {MAX_LOOKAHEAD}, not {config.lookahead}."
        )
    pixels = sum(config.sample_schedule) * (1 + config.lookahead) * _side(config) ** 2
    if pixels > MAX_PIXELS:
        raise ConfigError(
            f"The run would draw {pixels / 10**9:,.0f} billion pixels, and this server takes at "
            f"most {MAX_PIXELS / 10**9:,.0f}. Ask for fewer or smaller samples, fewer iterations "
            "or a smaller look-ahead."
        )
    if (stored := stored_bytes(config)) > MAX_STORED_BYTES:
        raise ConfigError(
            f"The run would store {stored / 2**30:,.1f} GiB, and this server keeps at most "
            f"{MAX_STORED_BYTES / 2**30:.0f} of one. Ask for fewer or smaller samples, or fewer "
            "iterations."
        )


def check_disk(config: RunConfig, folder: Path) -> None:
    """That there is room for a run below ``folder``.

    Args:
        config: with its image size.

    Raises:
        RunError: there is not.
    """
    needed, free = stored_bytes(config), shutil.disk_usage(folder).free
    if free < needed + KEPT_FREE_BYTES:
        raise RunError(
            f"The run may store {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB are free "
            f"here, of which {KEPT_FREE_BYTES / 2**30:.0f} stays free. Delete old runs, or ask for "
            "fewer or smaller samples."
        )


def stored_bytes(config: RunConfig) -> int:
    """Of the images of all generations, as they are stored."""
    assert config.image_size is not None
    return sum(config.sample_schedule) * config.image_size**2 * CHANNELS


def _side(config: RunConfig) -> int:
    assert config.image_size is not None
    return max(config.image_size, LEAST_SIDE)
