"""What a run costs the server: work and disk, as far as its settings tell."""

from __future__ import annotations

import shutil
from pathlib import Path

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, RunError
from pe_engine.ui.caps import Caps

LEAST_SIDE = 64
"""Pixels; a smaller image is embedded with as much work."""

KEPT_FREE_BYTES = 2**30
CHANNELS = 3


def check_work(config: RunConfig, caps: Caps) -> None:
    """That a run does not keep a server from all others.

    Args:
        config: with its image size.

    Raises:
        ConfigError: it makes or stores too much.
    """
    side, samples = config.image_size, max(config.sample_schedule)
    assert side is not None
    for asked, most, what in (
        (config.iterations, caps.iterations, "{} iterations"),
        (config.lookahead, caps.lookahead, "a look-ahead of {}"),
        (samples, caps.samples, "{} samples"),
        (side, caps.side, "images of {} pixels a side"),
    ):
        if asked > most:
            taken = what.format(f"at most {most:,}")
            raise ConfigError(f"This server takes {taken}, not {asked:,}. Ask for less.")
    pixels = sum(config.sample_schedule) * (1 + config.lookahead) * max(side, LEAST_SIDE) ** 2
    if pixels > caps.pixels:
        raise ConfigError(
            f"The run would draw {pixels / 10**9:,.1f} billion pixels, and this server takes at "
            f"most {caps.pixels / 10**9:,g}. Ask for fewer or smaller samples, fewer iterations "
            "or a smaller look-ahead."
        )
    if (stored := stored_bytes(config)) > caps.stored_bytes:
        raise ConfigError(
            f"The run would store {stored / 2**30:,.1f} GiB, and this server keeps at most "
            f"{caps.stored_bytes / 2**30:g} of one. Ask for fewer or smaller samples, or fewer "
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
