"""Camelyon17-WILDS, version 1.0: which patches it has and how they are split.

The facts are those of p-lambda/wilds (wilds/datasets/camelyon17_dataset.py): a row of
``metadata.csv`` for each patch, whose file is named by patient, node and place; the patches of
center 1 are for validation, those of center 2 for the test, and of the others those of split 0 for
training. (The rest, split 1, validates on known centers; the seed does not use it.)
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from pe_engine.datasets.tars import members
from pe_engine.decoding import UnreadableError, decode
from pe_engine.errors import DataError
from pe_engine.population import three_channels

SIDE = 96
METADATA = "metadata.csv"
_FOLDERS = {1: "camelyon17_val", 2: "camelyon17_test"}  # by center
_TRAIN = "camelyon17_train"


def images(archive: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Folder, file name and pixels, uint8 ``(96, 96, 3)``, of each patch.

    A file's number is its patch's place among those of its split, in the order of
    ``metadata.csv``; the archive may hold them in any order.

    Raises:
        DataError: the archive is not the published one, or some of its patches are missing.
    """
    wanted = _wanted(archive)
    for path, content in members(archive):
        name = path.rpartition("/")[2]
        if name in wanted:
            yield *wanted.pop(name), _pixels(content, name)
    if wanted:
        raise DataError(
            f"The archive lacks {len(wanted):,} of the patches that its {METADATA} lists, such as "
            f"{min(wanted)}. Fetch it again."
        )


def _wanted(archive: Path) -> dict[str, tuple[str, str]]:
    """For the name of each patch the folder and the name that it gets."""
    for path, content in members(archive):
        if path.rpartition("/")[2] == METADATA:
            return _named(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    raise DataError(f"The archive has no {METADATA}. Fetch Camelyon17-WILDS 1.0.")


def _named(metadata: IO[str]) -> dict[str, tuple[str, str]]:
    names = {}
    counts: Counter[str] = Counter()
    try:
        for row in csv.DictReader(metadata):
            known = _FOLDERS.get(int(row["center"]))
            if known is None and int(row["split"]) != 0:
                continue
            folder = known or _TRAIN
            patch = "patch_patient_{patient}_node_{node}_x_{x_coord}_y_{y_coord}.png".format(**row)
            names[patch] = (folder, f"{int(row['tumor'])}_{counts[folder]}.png")
            counts[folder] += 1
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"The archive's {METADATA} is not as in Camelyon17-WILDS 1.0, with a patient, node, "
            "x_coord, y_coord, tumor, center and split for each patch. Fetch that version."
        ) from error
    return names


def _pixels(data: bytes, name: str) -> np.ndarray:
    try:
        return three_channels(decode(data, SIDE, SIDE**2)[None])[0]
    except UnreadableError as error:
        raise DataError(f"The archive's {name} {error}. Fetch the archive again.") from error
