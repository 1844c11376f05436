"""CIFAR-10, from the archive for C programs: no byte of it is ever run, as a pickle's are.

Layout, by its page (https://www.cs.toronto.edu/~kriz/cifar.html): five files
``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin`` of 10,000 records each: a byte
for the class, then 1,024 bytes each of red, green and blue, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pe_engine.datasets.tars import members
from pe_engine.errors import DataError

# As the seed's file names have them (microsoft/DPSDA 86f38e3, data/get_cifar10.py).
CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
RECORDS = 10_000
"""In each of the six files."""

_FILES = {f"data_batch_{i + 1}.bin": ("cifar10_train", i) for i in range(5)}
_FILES["test_batch.bin"] = ("cifar10_test", 0)


def images(archive: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Folder, file name and pixels, uint8 ``(32, 32, 3)``, of each image.

    Files are numbered from 0 within the training and the test images, in the archive's order.

    Raises:
        DataError: the archive is not the published one.
    """
    wanted = dict(_FILES)
    for name, content in members(archive):
        folder, place = wanted.pop(name.rpartition("/")[2], (None, 0))
        if folder is None:
            continue
        labels, pixels = _records(content)
        for i, (label, image) in enumerate(zip(labels, pixels, strict=True), place * RECORDS):
            yield folder, f"{CLASSES[label]}_{i:05d}.png", image
    if wanted:
        raise DataError(
            f"The archive has no {min(wanted)}. Fetch the binary version of CIFAR-10, "
            "cifar-10-binary.tar.gz."
        )


def _records(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """uint8 labels ``(RECORDS,)`` and pixels ``(RECORDS, 32, 32, 3)``."""
    length = 1 + 3 * SIDE**2
    records = np.frombuffer(data, np.uint8)
    if len(data) != RECORDS * length or records[::length].max() >= len(CLASSES):
        raise DataError(
            f"The archive does not hold {RECORDS:,} records of {length:,} bytes in each file, as "
            "the published one does. Fetch cifar-10-binary.tar.gz again."
        )
    records = records.reshape(-1, length)
    planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
    return records[:, 0], planes.transpose(0, 2, 3, 1)
