"""A folder or a zip of private images -> ``PrivateDataset``.

What is here is for the owner of the images. Of all that a data set can say (its length, its
skipped files, which classes are empty), nothing may leave with the synthetic images.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from pe_engine.candidates import candidates, open_source
from pe_engine.class_rules import label, names_in_images
from pe_engine.decoding import FORMATS
from pe_engine.errors import DataError
from pe_engine.persons import describe_persons, tell_persons
from pe_engine.population import three_channels
from pe_engine.reading import Decoded, Reader, Result
from pe_engine.sources import LOCAL_LIMITS, SHARED_LIMITS, FolderSource, Limits, Read, Skipped
from pe_engine.zips import ZipSource

__all__ = [
    "LOCAL_LIMITS",
    "SHARED_LIMITS",
    "Batch",
    "Decoded",
    "Limits",
    "PrivateDataset",
    "Skipped",
    "open_dataset",
]

_MAX_BATCH_BYTES = 64 * 2**20
_BEAT_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the private images, decoded.

    Attributes:
        images: uint8 ``(n, S, S, 3)``, RGB; n may be 0 when none of them can be read.
        class_ids, person_ids: int64 ``(n,)``.
        digests: SHA-256 of each image's file, n of 32 bytes.
        done: how many of the data set's files have been looked at, this batch included.
        skipped: the files of this batch that cannot be used.
    """

    images: np.ndarray
    class_ids: np.ndarray
    person_ids: np.ndarray
    digests: list[bytes]
    done: int
    skipped: tuple[Skipped, ...]


class Decode(Protocol):
    """Decodes single images of a data set, in any order; called from one thread at a time."""

    def __call__(self, places: Sequence[int], image_size: int) -> list[Decoded | None]:
        """The images at these places in ``class_ids``; None for one that cannot be read."""


@dataclass(frozen=True, eq=False)
class PrivateDataset:
    """M private image files, found but not yet decoded.

    Attributes:
        rule: what names an image's class: "folder", "prefix" (of the file name) or "none".
        class_names: as declared, else sorted, numbers by value; ``("",)`` without classes.
        class_ids: int64 ``(M,)``, each in ``[0, number of classes)``.
        declared: whether ``class_names`` were declared, not found.
        found: how many images each class has by its name in the images, left out or not.
        persons: what names an image's person; see ``persons.tell_persons``.
        person_ids: int64 ``(M,)``, equal for images of the same person.
        person_names: what each image's person is called, M; "" without persons.
        skipped: the files that are known to be of no use; more are found while decoding.
    """

    rule: str
    class_names: tuple[str, ...]
    class_ids: np.ndarray
    declared: bool
    found: Mapping[str, int] = field(repr=False)
    persons: str
    person_ids: np.ndarray
    person_names: tuple[str, ...] = field(repr=False)
    skipped: tuple[Skipped, ...]
    _names: tuple[str, ...] = field(repr=False)
    _source: FolderSource | ZipSource = field(repr=False)
    _limits: Limits = field(repr=False)

    def __len__(self) -> int:
        """M, counting files that may turn out to be unreadable."""
        return len(self._names)

    def describe(self) -> str:
        """One sentence for the owner: how many images, persons, classes, what names them."""
        images = f"{len(self):,} image{'s' * (len(self) != 1)}"
        if self.persons != "none":
            images += f" of {describe_persons(self.person_ids, self.person_names)}"
        if self.rule == "none":
            return f"{images} without classes."
        count = len(self.class_names)
        classes = f"{count:,} class{'es' * (count != 1)}"
        by = {"folder": "their folder", "prefix": "the file name up to the first '_'"}[self.rule]
        return f"{images} in {classes}, named by {by}."

    def found_classes_notice(self) -> str | None:
        """For the owner: what is not protected where classes were found; None where declared."""
        if self.declared or self.rule == "none":
            return None
        return (
            "That there are just these classes is not protected: they were found in the images, "
            "and one image may have brought one. Declare the classes to protect that, too."
        )

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

        Two batches at most are in memory: the one that was handed out and the next. Where files
        take long, empty batches come in between, so that whoever wants to stop need not wait;
        closing the iterator ends all work at once.

        Args:
            image_size: S, height and width in pixels.
            batch_size: files in a batch, fewer where so many images would exceed 64 MiB.
            workers: processes that decode what is not tiny; None for one per processor, at most 8.

        Raises:
            DataError: none of the files can be read (after the last batch), the zip is gone, or no
                process can be started.
        """
        step = max(1, min(batch_size, _MAX_BATCH_BYTES // (3 * image_size**2)))
        found = 0
        pending: deque[_Pending] = deque()
        with self._source.reader() as read, self._reader(read, workers) as reader:
            for start in range(0, len(self) + step, step):
                rows = range(start, min(start + step, len(self)))
                if rows:
                    names = self._names[rows.start : rows.stop]
                    pending.append(_Pending(rows, reader.start(names, image_size)))
                if len(pending) == 2 or not rows:
                    for batch in self._collect(pending.popleft(), image_size):
                        found += len(batch.images)
                        yield batch
        self.check_not_empty(found)

    @contextmanager
    def decoder(self) -> Iterator[Decode]:
        """The function that decodes single images, while the context is open."""
        with self._source.reader() as read, self._reader(read, None) as reader:

            def decode(places: Sequence[int], image_size: int) -> list[Decoded | None]:
                results = reader.all([self._names[place] for place in places], image_size)
                return [one if isinstance(one, Decoded) else None for one in results]

            yield decode

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

    def _reader(self, read: Read, workers: int | None) -> Reader:
        return Reader(read, self._limits.pixels, workers)

    def _collect(self, pending: _Pending, image_size: int) -> Iterator[Batch]:
        """The batch, after as many empty ones as there were seconds to wait."""
        waiting = set(pending.results)
        while waiting := wait(waiting, _BEAT_SECONDS).not_done:
            yield self._batch([], range(pending.rows.start, pending.rows.start), image_size)
        results = [result for chunk in pending.results for result in chunk.result()]
        yield self._batch(results, pending.rows, image_size)

    def _batch(self, results: list[Result], rows: range, image_size: int) -> Batch:
        usable = np.array([isinstance(result, Decoded) for result in results], bool)
        decoded = [result for result in results if isinstance(result, Decoded)]
        grey = all(one.pixels.shape[-1] == 1 for one in decoded)
        images = np.empty((len(decoded), image_size, image_size, 1 if grey else 3), np.uint8)
        for i, one in enumerate(decoded):
            images[i] = one.pixels
        return Batch(
            three_channels(images),
            self.class_ids[rows.start : rows.stop][usable],
            self.person_ids[rows.start : rows.stop][usable],
            [one.digest for one in decoded],
            rows.stop,
            tuple(result for result in results if isinstance(result, Skipped)),
        )


@dataclass(frozen=True, eq=False)
class _Pending:
    """A batch that is being decoded."""

    rows: range
    results: list[Future[list[Result]]]


def open_dataset(
    source: Path,
    classes: str = "auto",
    limits: Limits = LOCAL_LIMITS,
    *,
    class_names: Sequence[str] = (),
    class_map: Mapping[str, str] | None = None,
    persons: str = "none",
) -> PrivateDataset:
    """Find the private images in a folder, nested to any depth, or in a zip.

    Hidden files and what operating systems leave behind (``__MACOSX``, ``Thumbs.db``, ...) are
    passed over. Files that cannot be used are skipped and listed, never fatal.

    Args:
        source: the folder or zip.
        classes: what names an image's class; see ``class_rules.label``.
        limits: what is refused.
        class_names: the declared classes; images of others are skipped. None for those found.
        class_map: what classes are called, by their name in the images; see ``class_rules.label``.
        persons: what names an image's person; see ``persons.tell_persons``.

    Raises:
        DataError: nothing there, neither a folder nor a zip, no image in it, too many files, or
            ``classes`` does not fit.
        ConfigError: ``classes`` or ``persons`` is not a known rule.
    """
    files = open_source(source, limits)
    names, not_images = candidates(files)
    if not names:
        raise DataError(f"There is no image in it. Choose a folder or zip of {FORMATS} images.")
    changes = class_map or {}
    known = names_in_images(class_names, changes)
    told = tell_persons(names, files.folders, persons, classes, known)
    labels = label(told.names, told.folders, classes, class_names, changes)
    ids = {class_name: i for i, class_name in enumerate(labels.class_names)}
    kept = [place for place, name in enumerate(labels.of_images) if name is not None]
    without = [
        Skipped(names[place], _why_without(place in labels.left_out, bool(class_names)))
        for place, name in enumerate(labels.of_images)
        if name is None
    ]
    return PrivateDataset(
        labels.rule,
        labels.class_names,
        np.array([ids[labels.of_images[place]] for place in kept], np.int64),
        bool(class_names),
        labels.found,
        persons,
        told.ids[kept],
        tuple(told.owners[place] for place in kept),
        (*files.skipped, *not_images, *without),
        tuple(names[place] for place in kept),
        files,
        limits,
    )


def _why_without(left_out: bool, declared: bool) -> str:
    """Why an image has no class."""
    if left_out:
        return "belongs to a class that is left out"
    if declared:
        return "belongs to none of the declared classes"
    return "lies beside the folders that name the classes"
