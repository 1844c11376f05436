"""A release as a folder where its owner wants it; what lies there is never overwritten."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from pe_engine.boundary import Outgoing
from pe_engine.errors import ConfigError
from pe_engine.files import part_of
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.package import write_folder
from pe_engine.titles import read_title

LOG = logging.getLogger(__name__)
LONGEST_NAME = 60


def save(run: Outgoing, choice: Choice, parent: Path, name: str) -> Path:
    """Write the release into a new folder below ``parent``, and say where it is.

    Args:
        parent: made if missing.
        name: what the new folder is called; with a number where there is one already.

    Raises:
        ConfigError: ``parent`` is no folder, or cannot be written.
        OSError: the disk is full.
    """
    return _placed(parent, name, lambda part: list(write_folder(run, choice, part)))


def keep_copy(run: Path, parent: Path) -> Path | None:
    """Unpack the zip of a finished run in the folder ``run`` into a new folder below ``parent``.

    Returns:
        Where it is; None where that could not be done, which is said in the log and is no reason
        for the run to fail.
    """
    try:
        name = folder_name(read_title(run))
        zipped = run / "synthetic.zip"
        return _placed(parent, name, lambda part: shutil.unpack_archive(zipped, part, "zip"))
    except ConfigError as error:
        LOG.warning("The finished run was not copied. %s", error)
    except OSError as error:
        LOG.warning("The finished run was not copied to %s: %s.", parent, error.strerror)
    return None


def folder_name(title: str, day: time.struct_time | None = None) -> str:
    """A name for the folder of a release: its title, or else the day, such as "2026-11-24"."""
    words = re.sub(r"[^\w.-]+", " ", title).strip(" .-_")[:LONGEST_NAME].strip()
    return words or time.strftime("%Y-%m-%d", day or time.localtime())


def _placed(parent: Path, name: str, write: Callable[[Path], object]) -> Path:
    """What ``write`` makes appears complete or not at all."""
    if not parent.is_absolute():
        raise ConfigError(f"Type the whole path of a folder; {str(parent)!r} is only a part of it.")
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"There can be no folder {parent} ({error.strerror}). Choose another one."
        ) from error
    place = next(path for path in _names(parent, name) if not path.exists())
    part = part_of(place)
    try:
        part.mkdir()
    except OSError as error:
        raise ConfigError(
            f"Nothing can be written to {parent} ({error.strerror}). Choose another folder."
        ) from error
    try:
        write(part)
        part.rename(place)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return place


def _names(parent: Path, name: str) -> Iterator[Path]:
    yield parent / name
    for number in count(2):
        yield parent / f"{name} {number}"
