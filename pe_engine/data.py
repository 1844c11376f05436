"""A folder or a zip of private images -> ``PrivateDataset``.

What is here is for the owner of the images. Of all that a data set can say (its length, its
skipped files, which classes are empty), nothing may leave with the synthetic images.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pe_engine.candidates import candidates, open_source
from pe_engine.class_rules import label
from pe_engine.decoding import FORMATS, UnreadableError, decode
from pe_engine.errors import DataError
from pe_engine.population import three_channels
from pe_engine.sources import LOCAL_LIMITS, SHARED_LIMITS, FolderSource, Limits, Read, Skipped
from pe_engine.zips import ZipSource

__all__ = [
    "LOCAL_LIMITS",
    "SHARED_LIMITS",
    "Batch",
    "Limits",
    "PrivateDataset",
    "Skipped",
    "open_dataset",
]

_CHUNK = 16  # images decoded in one go by a thread; a stopped run waits for that many
_TINY_BYTES = 8192
_MAX_BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the private images, decoded.

    Attributes:
        images: uint8 ``(n, S, S, 3)``, RGB; n may be 0 when none of them can be read.
        class_ids: int64 ``(n,)``.
        digests: SHA-256 of each image's file, n of 32 bytes.
        done: how many of the data set's files have been looked at, this batch included.
        skipped: the files of this batch that cannot be used.
    """

    images: np.ndarray
    class_ids: np.ndarray
    digests: list[bytes]
    done: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, eq=False)
class Decoded:
    """One image: uint8 ``(S, S, 3)``, RGB, or ``(S, S, 1)``; and the SHA-256 of its file."""

    pixels: np.ndarray
    digest: bytes


class Decode(Protocol):
    """Decodes single images of a data set, in any order; called from one thread at a time."""

    def __call__(self, places: Sequence[int], image_size: int) -> list[Decoded | None]:
        """The images at these places in ``class_ids``; None for one that cannot be read."""


@dataclass(frozen=True, eq=False)
class PrivateDataset:
    """M private image files, found but not yet decoded.

    Attributes:
        rule: what names an image's class: "folder", "prefix" (of the file name) or "none".
        class_names: sorted, numbers by value; ``("",)`` without classes.
        class_ids: int64 ``(M,)``, each in ``[0, number of classes)``.
        skipped: the files that are known to be of no use; more are found while decoding.
    """

    rule: str
    class_names: tuple[str, ...]
    class_ids: np.ndarray
    skipped: tuple[Skipped, ...]
    _names: tuple[str, ...] = field(repr=False)
    _source: FolderSource | ZipSource = field(repr=False)
    _limits: Limits = field(repr=False)

    def __len__(self) -> int:
        """M, counting files that may turn out to be unreadable."""
        return len(self._names)

    def describe(self) -> str:
        """One sentence for the owner: how many images, how many classes, what names them."""
        images = f"{len(self):,} image{'s' * (len(self) != 1)}"
        if self.rule == "none":
            return f"{images} without classes."
        count = len(self.class_names)
        classes = f"{count:,} class{'es' * (count != 1)}"
        by = {"folder": "their folder", "prefix": "the file name up to the first '_'"}[self.rule]
        return f"{images} in {classes}, named by {by}."

    def empty_classes(self, class_ids: np.ndarray | None = None) -> tuple[str, ...]:
        """The names of the classes without an image.

        Args:
            class_ids: int64 ``(n,)``, those of the images that could be read; None before
                decoding, for all M.
        """
        ids = self.class_ids if class_ids is None else class_ids
        counts = np.bincount(ids, minlength=len(self.class_names))
        return tuple(self.class_names[i] for i in np.flatnonzero(counts == 0))

    def empty_class_notice(self, class_ids: np.ndarray | None = None) -> str | None:
        """``empty_classes`` as a sentence for the owner, or None when there is none."""
        names = self.empty_classes(class_ids)
        if not names:
            return None
        shown = ", ".join(repr(name) for name in names[:5]) + ", ..." * (len(names) > 5)
        has = f"The class {shown} has" if len(names) == 1 else f"The classes {shown} have"
        return f"{has} no image that can be read; noise alone will choose the synthetic images."

    def batches(
        self, image_size: int, batch_size: int = 1024, workers: int | None = None
    ) -> Iterator[Batch]:
        """All images, sorted by name, decoded as they are asked for.

        Two batches at most are in memory: the one that was handed out and the next.

        Args:
            image_size: S, height and width in pixels.
            batch_size: files in a batch, fewer where so many images would exceed 64 MiB.
            workers: threads that decode; None for one per processor, at most 8, and for none but
                the caller's where files are tiny.

        Raises:
            DataError: none of the files can be read (after the last batch), or the zip is gone.
        """
        step = max(1, min(batch_size, _MAX_BATCH_BYTES // (3 * image_size**2)))
        found = 0
        pending: deque[_Pending] = deque()
        with self._source.reader() as read:
            pool = self._pool(workers)
            try:
                for start in range(0, len(self), step):
                    rows = range(start, min(start + step, len(self)))
                    pending.append(self._submit(pool, read, rows, image_size))
                    if len(pending) == 2:
                        batch = self._collect(pending.popleft(), image_size)
                        found += len(batch.images)
                        yield batch
                batch = self._collect(pending.popleft(), image_size)
                found += len(batch.images)
                yield batch
            finally:
                pool.shutdown(cancel_futures=True)
        self.check_not_empty(found)

    @contextmanager
    def decoder(self) -> Iterator[Decode]:
        """The function that decodes single images, while the context is open."""
        with self._source.reader() as read, self._pool(None) as pool:

            def decode_one(place: int, image_size: int) -> Decoded | None:
                one = self._decode(read, range(place, place + 1), image_size)[0]
                return one if isinstance(one, Decoded) else None

            yield lambda places, size: list(pool.map(decode_one, places, repeat(size)))

    def fingerprint(self) -> str:
        """SHA-256 of the files' names and sizes, in hexadecimal digits; for the owner."""
        digest = hashlib.sha256()
        for name in self._names:
            digest.update(f"{name}\0{self._source.size(name)}\0".encode())
        return digest.hexdigest()

    def check_not_empty(self, count: int) -> None:
        """Raises DataError when ``count``, the number of images that could be read, is 0."""
        if count == 0:
            raise DataError(
                f"None of the files can be read as an image. Choose a folder or zip of {FORMATS} "
                "images."
            )

    def _pool(self, workers: int | None) -> Executor:
        # Pillow decodes with the interpreter's lock released; around tiny images the lock is all
        # that matters, and threads that pass it to and fro take up to twice as long.
        sample = self._names[:: max(1, len(self) // 64)]
        if workers is None and sum(map(self._source.size, sample)) < _TINY_BYTES * len(sample):
            return _SameThread()
        return ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1))

    def _submit(self, pool: Executor, read: Read, rows: range, image_size: int) -> _Pending:
        chunks = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
        return _Pending(
            rows, [pool.submit(self._decode, read, chunk, image_size) for chunk in chunks]
        )

    def _decode(self, read: Read, rows: range, image_size: int) -> list[Decoded | Skipped]:
        results: list[Decoded | Skipped] = []
        for name in self._names[rows.start : rows.stop]:
            try:
                data = read(name)
                pixels = decode(data, image_size, self._limits.pixels)
            except UnreadableError as error:
                results.append(Skipped(name, str(error)))
            else:
                results.append(Decoded(pixels, hashlib.sha256(data).digest()))
        return results

    def _collect(self, pending: _Pending, image_size: int) -> Batch:
        results = [result for chunk in pending.chunks for result in chunk.result()]
        usable = np.array([isinstance(result, Decoded) for result in results])
        decoded = [result for result in results if isinstance(result, Decoded)]
        grey = all(one.pixels.shape[-1] == 1 for one in decoded)
        images = np.empty((len(decoded), image_size, image_size, 1 if grey else 3), np.uint8)
        for i, one in enumerate(decoded):
            images[i] = one.pixels
        return Batch(
            three_channels(images),
            self.class_ids[pending.rows.start : pending.rows.stop][usable],
            [one.digest for one in decoded],
            pending.rows.stop,
            tuple(result for result in results if isinstance(result, Skipped)),
        )


@dataclass(frozen=True, eq=False)
class _Pending:
    """A batch that is being decoded."""

    rows: range
    chunks: list[Future[list[Decoded | Skipped]]]


class _SameThread(Executor):
    """Runs what it is given at once."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:
        future: Future = Future()
        future.set_result(function(*arguments))
        return future


def open_dataset(
    source: Path, classes: str = "auto", limits: Limits = LOCAL_LIMITS
) -> PrivateDataset:
    """Find the private images in a folder, nested to any depth, or in a zip.

    Hidden files and what operating systems leave behind (``__MACOSX``, ``Thumbs.db``, ...) are
    passed over. Files that cannot be used are skipped and listed, never fatal.

    Args:
        source: the folder or zip.
        classes: what names an image's class; see ``class_rules.label``.
        limits: what is refused.

    Raises:
        DataError: nothing there, neither a folder nor a zip, no image in it, too many files, or
            ``classes`` does not fit.
        ConfigError: ``classes`` is not a known rule.
    """
    files = open_source(source, limits)
    names, not_images = candidates(files)
    if not names:
        raise DataError(f"There is no image in it. Choose a folder or zip of {FORMATS} images.")
    labels = label(names, files.folders, classes)
    ids = {class_name: i for i, class_name in enumerate(labels.class_names)}
    kept = [(n, ids[c]) for n, c in zip(names, labels.of_images, strict=True) if c is not None]
    beside = [n for n, c in zip(names, labels.of_images, strict=True) if c is None]
    classless = [Skipped(name, "lies beside the folders that name the classes") for name in beside]
    return PrivateDataset(
        labels.rule,
        labels.class_names,
        np.array([class_id for _, class_id in kept], np.int64),
        (*files.skipped, *not_images, *classless),
        tuple(name for name, _ in kept),
        files,
        limits,
    )
