"""A release in the form that was chosen: file by file, as a zip in pieces, or as a folder.

Made from what the release boundary lets out and from nothing else, like ``export.py``'s zip.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pe_engine import report
from pe_engine.boundary import Outgoing
from pe_engine.files import owner_folder
from pe_engine.manifest import describe
from pe_engine.takeout.card import card
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.members import Members, as_text, facts
from pe_engine.takeout.pictures import METADATA, image_files, in_class_blocks, metadata_lines

PIECE = 1 << 16  # bytes; a piece of a zip is at least so large, but for the last
STORED = (".png", ".jpg", ".webp")  # compressed by themselves
MANIFEST = "manifest.json"


def contents(run: Outgoing, choice: Choice) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file, the manifest last; one of them is in memory at a time."""
    manifest = describe(run, choice)
    population = in_class_blocks(run.population)
    files = {}
    for name, content in _before_manifest(run, manifest, choice, population):
        files[name] = facts(content)
        yield name, content
    yield MANIFEST, as_text({**manifest, "files": files}).encode()


def _before_manifest(
    run: Outgoing, manifest: dict[str, Any], choice: Choice, population: Any
) -> Iterator[tuple[str, bytes]]:
    yield from image_files(population, manifest["samples"]["classes"], choice)
    yield from described(population.class_ids, manifest, choice)
    drawn = report.draw_shown(run)
    yield "report.html", report.render(manifest, drawn, with_arrays=False).encode()


def described(
    class_ids: np.ndarray, manifest: Mapping[str, Any], choice: Choice
) -> Iterator[tuple[str, bytes]]:
    """What says of the images, which lie in class blocks, what they are: rows and card."""
    samples = manifest["samples"]
    rows = metadata_lines(class_ids, samples["classes"], choice, samples["generation"])
    yield METADATA, rows
    yield "README.md", card(manifest).encode()


def zip_pieces(run: Outgoing, choice: Choice) -> Iterator[bytes]:
    """The bytes of a zip of ``contents``, made as they are asked for."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        members = Members(archive)
        for name, content in contents(run, choice):
            stored = name.endswith(STORED)
            members.add(name, content, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
            if sink.size >= PIECE:
                yield sink.take()
    yield sink.take()


def write_folder(run: Outgoing, choice: Choice, folder: Path) -> Iterator[int]:
    """Write ``contents`` below ``folder``, an empty one; the number of files after each.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    made: set[Path] = set()
    for done, (name, content) in enumerate(contents(run, choice), start=1):
        path = folder / name
        if path.parent not in made:
            made.add(owner_folder(path.parent))
        path.write_bytes(content)
        yield done


def number_of_files(run: Outgoing) -> int:
    """How many ``contents`` gives: an image for each sample, and four that describe them."""
    return len(run.population) + 4


class _Sink(io.RawIOBase):
    """What was written and not yet taken. It cannot seek, so zipfile writes sizes after files."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self.size += len(self._pieces[-1])
        return len(self._pieces[-1])

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return taken
