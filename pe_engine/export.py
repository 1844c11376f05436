"""A finished run -> samples.npz, report.html, manifest.json, and synthetic.zip with all of them.

    synthetic.zip
      images/<class>/000000.png   one per sample; the number is its row in samples.npz
      samples.npz                 samples uint8 (N, H, W, 3) in class blocks, labels, classes
      report.html                 for people
      manifest.json               for programs: privacy, settings, SHA-256 of each other file

Everything in it follows from the noisy votes, the settings and the seed, byte for byte: no dates,
no private names. Each file appears complete or not at all, the zip last.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np

from pe_engine import report
from pe_engine.boundary import Outgoing
from pe_engine.images import png_bytes
from pe_engine.manifest import describe
from pe_engine.population import Population
from pe_engine.storage import atomic_write

IMAGES_PER_PIECE = 250
READ_BYTES = 1 << 20
# Measured on 10,000 28 x 28 handwritten digits: 23.5 MB become 2.8 MB in 0.12 s; higher levels
# save a few per cent at most.
NPZ_LEVEL = 1


def export_run(folder: Path, run: Outgoing) -> Iterator[tuple[int, int]]:
    """Write the release of a run into ``folder``.

    Args:
        folder: exists; files of an earlier export there are replaced.
        run: what may leave. When its records stop before T, the release says that ε is that of the
            whole plan.

    Yields:
        (pieces done, pieces in all) after each piece; once they are equal, synthetic.zip is in
        place.

    Raises:
        OSError: the disk is full or the folder cannot be written; no file is left half written.
    """
    manifest = describe(run)
    population = _in_class_blocks(run.population)
    shown = report.shown_records(run.records)
    total = 1 + len(shown) + 1 + -(-len(population) // IMAGES_PER_PIECE) + 1
    pieces = count(1)

    with atomic_write(folder / "samples.npz") as file:
        _write_samples(file, population, manifest["samples"]["classes"])
    yield next(pieces), total
    pictures = []
    for record in shown:
        pictures.append(report.draw(record, run.noise_multiplier))
        yield next(pieces), total
    with atomic_write(folder / "report.html") as file:
        file.write(report.render(manifest, pictures).encode())
    yield next(pieces), total
    for _ in _write_zip(folder, population, manifest):
        yield next(pieces), total


def _in_class_blocks(population: Population) -> Population:
    """Sorted by class id; within a class the order stays."""
    order = np.argsort(population.class_ids, kind="stable")
    if np.array_equal(order, np.arange(len(order))):
        return population  # spares a copy of all images
    return population.take(order)


def _write_samples(file: IO[bytes], population: Population, classes: list[dict[str, Any]]) -> None:
    """An npz like ``numpy.savez_compressed`` makes, with fixed dates and a faster level."""
    arrays = {
        "samples": population.images,
        "labels": population.class_ids.astype(np.int64, copy=False),
        "classes": np.array([entry["name"] for entry in classes], dtype=np.str_),
    }
    with zipfile.ZipFile(file, "w", compresslevel=NPZ_LEVEL) as archive:
        for name, array in arrays.items():
            member = _member(f"{name}.npy", zipfile.ZIP_DEFLATED)
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def _write_zip(folder: Path, population: Population, manifest: dict[str, Any]) -> Iterator[None]:
    """Yields after every ``IMAGES_PER_PIECE`` images, and once when the zip is in place."""
    folders = [f"{entry['folder']}/".lstrip("/") for entry in manifest["samples"]["classes"]]
    n = len(population)
    images = _grey_if_all_are(population.images)
    with atomic_write(folder / "synthetic.zip") as file, zipfile.ZipFile(file, "w") as archive:
        release = _Release(archive)
        for i in range(n):
            name = f"images/{folders[population.class_ids[i]]}{i:06d}.png"
            release.add(name, png_bytes(images[i]), zipfile.ZIP_STORED)
            if (i + 1) % IMAGES_PER_PIECE == 0 or i + 1 == n:
                yield
        release.add_file(folder / "samples.npz", zipfile.ZIP_STORED)
        release.add_file(folder / "report.html", zipfile.ZIP_DEFLATED)
        text = _json({**manifest, "files": release.files})
        with atomic_write(folder / "manifest.json") as manifest_file:
            manifest_file.write(text.encode())
        release.add_file(folder / "manifest.json", zipfile.ZIP_DEFLATED)
    yield


def _json(manifest: dict[str, Any]) -> str:
    """One line for each entry of each part: readable, and json's fast encoder does the rest."""
    parts = []
    for name, part in manifest.items():
        lines = part.items() if isinstance(part, dict) else ()
        inner = ",\n".join(f"  {_line(key)}: {_line(value)}" for key, value in lines)
        parts.append(f" {_line(name)}: " + (f"{{\n{inner}\n }}" if inner else _line(part)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _grey_if_all_are(images: np.ndarray) -> np.ndarray:
    """``(N, H, W, 1)`` if R = G = B in all images, else ``(N, H, W, 3)``: never a mixture."""
    all_grey = images.strides[-1] == 0 or all((i == i[..., :1]).all() for i in images)
    return images[..., :1] if all_grey else images


class _Release:
    """Members of a zip, each with its SHA-256 and size kept for the manifest."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, content: bytes, compression: int) -> None:
        self._archive.writestr(_member(name, compression), content)
        self.files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def add_file(self, path: Path, compression: int) -> None:
        """The file at ``path`` under its own name, read in pieces."""
        member = _member(path.name, compression)
        member.file_size = path.stat().st_size  # tells zipfile whether it needs 64-bit sizes
        digest = hashlib.sha256()
        with path.open("rb") as source, self._archive.open(member, "w") as target:
            while block := source.read(READ_BYTES):
                digest.update(block)
                target.write(block)
        self.files[path.name] = {"sha256": digest.hexdigest(), "size": path.stat().st_size}


def _member(name: str, compression: int) -> zipfile.ZipInfo:
    """Same date, system and mode everywhere, so that the same run gives the same bytes."""
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = compression
    member.create_system = 3  # Unix, whose modes the next line means
    member.external_attr = 0o100644 << 16
    return member
