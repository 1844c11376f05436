"""The features of all images of a pool, computed once and kept in a file.

Nothing but features stays of an image: for a million of them, thumbnails take 1.5 GB on the disk
and a few megabytes of memory.

    FOLDER/
      features.npy   float16 (M, D); a row of zeros where an image cannot be read
      readable.npy   bool (M,)
      digests.npy    uint8 (M, 32), SHA-256 of each file that can be read
      pool.json      what the two were computed from; written last
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from pe_engine.components import load_class
from pe_engine.data import Decode, PrivateDataset
from pe_engine.embedders import EMBEDDERS
from pe_engine.embedders.base import Embedder
from pe_engine.errors import GeneratorError
from pe_engine.files import atomic_write, owner_folder
from pe_engine.images import to_uint8

THUMBNAIL = 16
"""Pixels at which the embedder "pixels" compares images: 768 numbers each. What is left of an image
at that size says well enough which others are like it, and a million fit."""

DIGEST_BYTES = 32
_BATCH_BYTES = 64 * 2**20
_MOST_IN_BATCH = 1024
_SCATTERED_ROWS = 64  # read at once


@dataclass(frozen=True)
class PoolFeatures:
    """What is known of a pool of M images.

    Attributes:
        path: a .npy file, float16 ``(M, D)``.
        readable: bool ``(M,)``.
        digests: uint8 ``(M, 32)``, SHA-256 of each file, zeros for one that cannot be read.
    """

    path: Path
    readable: np.ndarray
    digests: np.ndarray

    def rows(self, places: np.ndarray | slice) -> np.ndarray:
        """float32 ``(n, D)``, the features of some images."""
        if isinstance(places, slice):
            return self._mapped()[places].astype(np.float32)
        # the system may map megabytes around each row
        parts = np.array_split(places, -(-len(places) // _SCATTERED_ROWS))
        return np.concatenate([self._mapped()[part] for part in parts]).astype(np.float32)

    @property
    def dimension(self) -> int:
        return self._mapped().shape[1]

    def _mapped(self) -> np.ndarray:
        """The file, mapped anew each time, so that what has been read does not stay in memory."""
        return np.load(self.path, mmap_mode="r")


class PoolEmbedder:
    """An embedder of ``EMBEDDERS`` at the size at which images of a pool are compared.

    Args:
        image_size: height and width of the synthetic images.
    """

    def __init__(self, name: str, image_size: int, device: str) -> None:
        self.size = min(image_size, THUMBNAIL) if name == "pixels" else image_size
        self.key = f"{name} {self.size}"
        self._embedder: Embedder = load_class(EMBEDDERS, name)(self.size, device, False)
        self.dimension = self._embedder.dimension

    def embed(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """float16 ``(n, D)`` of n images of this size, uint8, grey or RGB."""
        images = np.empty((len(pixels), self.size, self.size, 3), np.uint8)
        for i, one in enumerate(pixels):
            images[i] = one
        return self._embedder.embed(images).astype(np.float16)

    def embed_given(self, images: np.ndarray) -> np.ndarray:
        """float32 ``(N, D)`` of images of any size, uint8 ``(N, H, W, 3)``, as precise as those of
        the pool."""
        pixels = [to_uint8(Image.fromarray(np.ascontiguousarray(i)), self.size) for i in images]
        return self.embed(pixels).astype(np.float32)


def fingerprint(pool: PrivateDataset) -> str:
    """SHA-256, in hexadecimal digits, of all that gives an image or class of a pool its number: the
    files' names, and the classes' (a folder without images is one too); and of the files' sizes."""
    told = json.dumps([pool.fingerprint(), pool.rule, pool.class_names])
    return hashlib.sha256(told.encode()).hexdigest()


def pool_features(
    made_from: str, count: int, decode: Decode, embedder: PoolEmbedder, folder: Path
) -> Generator[tuple[int, int], None, PoolFeatures]:
    """The features of a pool: those in ``folder``, or if none were finished there, computed now.

    Args:
        made_from: the pool's fingerprint.
        count: M, its files.
        folder: of one run, in whose states the pool's images and classes are numbers.

    Yields:
        how many images are done, and of how many.

    Raises:
        GeneratorError: no image of the pool can be read, or the features in the folder are of
            another pool or embedder.
    """
    now = {"pool": made_from, "embedder": embedder.key}
    note = folder / "pool.json"
    if note.is_file():
        _check_same(json.loads(note.read_bytes()), now)
    else:
        owner_folder(folder)
        yield from _compute(count, decode, embedder, folder)
        with atomic_write(note) as file:
            file.write(json.dumps(now).encode())
    others = (np.load(folder / name) for name in ("readable.npy", "digests.npy"))
    return PoolFeatures(folder / "features.npy", *others)


def _check_same(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    if before["pool"] != now["pool"]:
        raise GeneratorError(
            "The pool is not the one that this run began with. Put it back as it was, or start a "
            "new run."
        )
    if before["embedder"] != now["embedder"]:
        raise GeneratorError(
            f"The run began with features of the embedder {before['embedder']!r}, which are now of "
            f"{now['embedder']!r}. Start a new run."
        )


def _compute(
    count: int, decode: Decode, embedder: PoolEmbedder, folder: Path
) -> Iterator[tuple[int, int]]:
    readable, digests = np.zeros(count, bool), np.zeros((count, DIGEST_BYTES), np.uint8)
    with atomic_write(folder / "features.npy") as file:
        _write_header(file, (count, embedder.dimension))
        for places in _batches(count, embedder.size):
            decoded = decode(places, embedder.size)
            here = np.array([one is not None for one in decoded])
            found = [one for one in decoded if one is not None]
            features = np.zeros((len(places), embedder.dimension), np.float16)
            if found:
                features[here] = embedder.embed([one.pixels for one in found])
                told = np.frombuffer(b"".join(one.digest for one in found), np.uint8)
                digests[np.array(places)[here]] = told.reshape(-1, DIGEST_BYTES)
            file.write(features.data)
            readable[places] = here
            yield places[-1] + 1, count
    if not readable.any():
        raise GeneratorError(
            f"None of the {count:,} images of the pool can be read. Choose another pool."
        )
    for name, array in (("readable.npy", readable), ("digests.npy", digests)):
        with atomic_write(folder / name) as file:
            np.save(file, array)


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    # row after row, not through a map of the file: a full disk is then an error and not a crash
    about = {"descr": "<f2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)


def _batches(count: int, size: int) -> Iterator[range]:
    step = max(1, min(_MOST_IN_BATCH, _BATCH_BYTES // (3 * size**2)))
    return (range(start, min(start + step, count)) for start in range(0, count, step))
