"""What the files of a folder or zip are like, for their owner: image sizes, copies and colour.

All but a few images have only their headers decoded, in the same protected way as images are
(``decode_pool``), and the work has a bound. Nothing of it is stored, and nothing may leave with
the synthetic images.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from pe_engine.candidates import candidates, open_source
from pe_engine.decode_pool import DecodePool
from pe_engine.decoding import DamagedError, UnreadableError, measure_tiny
from pe_engine.sources import Limits, Read

MOST_FILES = 20_000
SECONDS = 8.0
MOST_BYTES = 4 * 2**30
FILE_SECONDS = 2.0
MOST_NAMES = 3
_HEAD_BYTES = 2**18  # of most formats the size stands within these
_SAMPLED = 6
_SAMPLED_PIXELS = 64
_COLOURED = 24
"""Levels of 255 between two channels: a scan of grey paper stays below on nearly all its pixels."""


@dataclass
class Census:
    """Attributes:
    images: files that may be images, M.
    looked_at: how many of them, the first by name, could be looked at in time.
    sizes: how many images there are of each (width, height), in pixels, as they are stored.
    unreadable: how many files cannot be read as an image, by reason.
    contents: how many files there are of each content that several may have, by SHA-256.
    seconds_to_read: about how long this computer takes to decode them all once.
    in_colour: whether most of a few images that were decoded are in colour.
    bad_names, copy_names: the first few that cannot be read, and that are copies of another.
    """

    images: int
    looked_at: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    contents: Counter[bytes] = field(default_factory=Counter, repr=False)
    seconds_to_read: float = 0.0
    in_colour: bool = False
    bad_names: list[str] = field(default_factory=list, repr=False)
    copy_names: list[str] = field(default_factory=list, repr=False)

    @property
    def copies(self) -> int:
        """Files whose content another one has already."""
        return sum(self.contents.values()) - len(self.contents)

    def extremes(self) -> list[tuple[int, int]]:
        """The smallest, the median and the largest size by number of pixels; none of no image."""
        ordered = sorted(self.sizes.elements(), key=lambda size: (size[0] * size[1], size))
        return [ordered[0], ordered[len(ordered) // 2], ordered[-1]] if ordered else []


def take_census(
    source: Path,
    limits: Limits,
    *,
    most: int = MOST_FILES,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Census:
    """Look at the files of a folder or zip, until ``most`` of them, 4 GiB or ``seconds``.

    Raises:
        DataError: there is no folder or zip, it cannot be opened, or no process can be started.
    """
    end = clock() + seconds
    files = open_source(source, limits)
    names, _ = candidates(files)
    lengths = {name: files.size(name) for name in names}
    shared = {length for length, count in Counter(lengths.values()).items() if count > 1}
    census = Census(len(names))
    room = MOST_BYTES
    with files.reader() as read, DecodePool(FILE_SECONDS) as pool:
        for name in names[:most]:
            if clock() > end or room < 0:
                break
            room -= lengths[name]
            # only files of one length can be copies of one another
            _look_at(census, _File(read, name, pool, limits.pixels), lengths[name] in shared)
        step = max(census.looked_at // _SAMPLED, 1)
        sample = names[: census.looked_at : step][:_SAMPLED]
        _look_into(census, [_File(read, name, pool, limits.pixels) for name in sample], clock)
    return census


@dataclass(frozen=True)
class _File:
    """One file, and what looks into it."""

    read: Read
    name: str
    pool: DecodePool
    max_pixels: int

    def size(self, whole: bytes | None) -> tuple[int, int]:
        """Width and height, from its first bytes if they tell, else from all of it."""
        head = self.read(self.name, _HEAD_BYTES) if whole is None else whole[:_HEAD_BYTES]
        try:
            return self._measured(head)
        except DamagedError:
            if len(head) < _HEAD_BYTES:
                raise
        return self._measured(self.read(self.name) if whole is None else whole)

    def _measured(self, data: bytes) -> tuple[int, int]:
        told = measure_tiny(data, self.max_pixels)
        return self.pool.measure(data, self.max_pixels) if told is None else told


def _look_at(census: Census, file: _File, may_be_copy: bool) -> None:
    census.looked_at += 1
    try:
        whole = file.read(file.name) if may_be_copy else None
        census.sizes[file.size(whole)] += 1
    except UnreadableError as error:
        census.unreadable[str(error)] += 1
        _note(census.bad_names, file.name)
        return
    if whole is None:
        return
    content = hashlib.sha256(whole).digest()
    if content in census.contents:
        _note(census.copy_names, file.name)
    census.contents[content] += 1


def _note(names: list[str], name: str) -> None:
    if len(names) < MOST_NAMES:
        names.append(name)


def _look_into(census: Census, files: Sequence[_File], clock: Callable[[], float]) -> None:
    """Decode a few that stand evenly among all: how long that takes, and whether they are grey."""
    seconds, coloured = [], []
    for file in files[:1] + files:  # the first twice: a process is started for it
        begun = clock()
        with suppress(UnreadableError):
            pixels = file.pool.decode(file.read(file.name), _SAMPLED_PIXELS, file.max_pixels)
            seconds.append(clock() - begun)
            spread = np.ptp(pixels.astype(np.int16), axis=-1)
            coloured.append(bool(np.mean(spread > _COLOURED) > 0.1))
    if len(seconds) > 1:
        at_once = min(8, os.cpu_count() or 1)
        census.seconds_to_read = median(seconds[1:]) * census.images / at_once
        census.in_colour = sum(coloured[1:]) * 2 > len(coloured[1:])
