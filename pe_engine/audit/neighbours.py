"""Small private data sets, and what may be added to one, taken from it or exchanged."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pe_engine.audit.running import png

SIDE = 16
CLASSES = ("0", "1", "2", "3")
IMAGES = (6, 5, 1, 0)  # in each class: one loses its only image, one gets its first
PERSONS = ("bob", "ann")
MAGENTA = (255, 0, 255)  # an image all of this has no finite features: see watching.py

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Neighbour:
    """A data set that differs from another in one unit.

    Attributes:
        change: what was done to it, for people.
        files: the data set's files.
        units: how many times what one unit may vote for can have moved: twice where something was
            put in another's place, not at all where what was added cannot vote.
    """

    change: str
    files: Files
    units: int = 1


@dataclass(frozen=True)
class Layout:
    """How names of files say whose class and whose person's an image is."""

    classes: bool
    persons: bool

    def name(self, class_name: str, person: str, number: str) -> str:
        """``class/person/number.png``, as far as there are classes and persons."""
        if not self.classes:
            number = class_name + number
        folders = [class_name] * self.classes + [person] * self.persons
        return "/".join([*folders, f"{number}.png"])


def base(layout: Layout) -> Files:
    """12 images in full batches, so that one more is one batch more."""
    files = {}
    for c, class_name in enumerate(CLASSES):
        for i in range(IMAGES[c]):
            person = PERSONS[i % len(PERSONS)] if layout.persons else ""
            files[layout.name(class_name, person, f"5{i}")] = png(_noise(c, i))
    return files


def added_or_removed(layout: Layout) -> Iterator[Neighbour]:
    """What add/remove-one adjacency calls neighbours of ``base``."""
    files = base(layout)
    if layout.persons:
        yield from _persons_added_or_removed(layout, files)
        return
    before = layout.name("0", "", "00")  # sorts before all others, so that each moves by a row
    yield Neighbour("an image added", {before: png(_noise(7, 0)), **files})
    yield Neighbour("an image added that is there", {before: files[_last(files)], **files})
    yield Neighbour("an image removed", _without(files, layout.name("1", "", "52")))
    yield Neighbour(
        "the only image of a class removed", _without(files, layout.name("2", "", "50"))
    )
    first = layout.name("3", "", "50")
    yield Neighbour("the first image of a class added", {**files, first: png(_noise(3, 0))})
    yield Neighbour("an image without finite features added", {before: _nowhere(), **files}, 0)
    yield Neighbour("a corrupt file added", {before: files[_last(files)][:90], **files}, 0)
    yield Neighbour("a picture of more pixels than are read added", {before: _huge(), **files}, 0)
    yield Neighbour("a large image added", {before: png(_large()), **files})
    yield Neighbour("a file added that is no image", {**files, "0/notes.txt": b"private"}, 0)
    new = layout.name("new", "", "00")
    yield Neighbour(
        "an image of no declared class added",
        {new: png(_noise(7, 1)), **files},
        int(not layout.classes),
    )


def replaced(layout: Layout) -> Iterator[Neighbour]:
    """What replace-one adjacency calls neighbours of ``base``."""
    files = base(layout)
    if layout.persons:
        rest = {name: data for name, data in files.items() if "bob" not in name}
        cid = {layout.name(c, "cid", str(i)): png(_noise(8, i)) for i, c in enumerate(CLASSES)}
        yield Neighbour("a person replaced by another", {**rest, **cid}, units=2)
        return
    old, only = layout.name("1", "", "52"), layout.name("2", "", "50")
    moved, first = layout.name("0", "", "00"), layout.name("3", "", "50")
    for change, gone, name, content, units in (
        ("an image replaced", old, old, png(_noise(7, 2)), 2),
        ("an image replaced by one of another class", old, moved, png(_noise(7, 3)), 2),
        ("a class's only image replaced by another's first", only, first, png(_noise(3, 0)), 2),
        ("an image replaced by one without finite features", old, old, _nowhere(), 1),
        ("an image replaced by a corrupt file", old, old, files[old][:90], 1),
    ):
        yield Neighbour(change, {**_without(files, gone), name: content}, units)


def _persons_added_or_removed(layout: Layout, files: Files) -> Iterator[Neighbour]:
    cid = {layout.name(c, "cid", str(i)): png(_noise(8, i)) for i, c in enumerate(CLASSES * 2)}
    yield Neighbour("a person with eight images added", {**files, **cid})
    rest = {name: data for name, data in files.items() if "bob" not in name}
    yield Neighbour("a person removed, with the only image of a class", rest)
    more = {layout.name(c, "ann", f"0{i}"): png(_noise(9, i)) for i, c in enumerate(CLASSES)}
    yield Neighbour("four images of a person added", {**files, **more}, units=2)


def _noise(kind: int, number: int) -> np.ndarray:
    """Grey blocks, uint8 ``(16, 16, 3)``; any two are different."""
    rng = np.random.default_rng([kind, number])
    blocks = rng.integers(0, 256, (4, 4), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return np.repeat(blocks[..., None], 3, axis=-1)


def _nowhere() -> bytes:
    return png(np.full((SIDE, SIDE, 3), MAGENTA, np.uint8))


def _large() -> np.ndarray:
    """uint8 ``(96, 96, 3)``: a file that is not decoded where tiny ones are."""
    return np.random.default_rng(10).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def _huge() -> bytes:
    """A PNG file that says it has 60,000 x 60,000 pixels (ISO/IEC 15948, 11.2.2)."""
    tiny = png(_noise(7, 4))
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + tiny[24:29]
    return tiny[:12] + header + struct.pack(">I", zlib.crc32(header)) + tiny[33:]


def _last(files: Files) -> str:
    return max(files)


def _without(files: Files, name: str) -> Files:
    return {other: content for other, content in files.items() if other != name}
