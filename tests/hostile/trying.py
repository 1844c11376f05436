"""Put a folder or zip through the door that all private images come by, and say what became of
it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from pe_engine.data import LOCAL_LIMITS, Limits, PrivateDataset, open_dataset
from pe_engine.errors import PEError

SIZE = 16


@dataclass(frozen=True)
class Outcome:
    """What became of a folder or zip.

    Attributes:
        images: uint8 ``(n, S, S, 3)``.
        skipped: reason by name.
        refused: the sentence, or "" where it was not refused as a whole.
    """

    images: np.ndarray
    skipped: dict[str, str] = field(default_factory=dict)
    refused: str = ""


def tried(source: Path, classes: str = "none", limits: Limits = LOCAL_LIMITS) -> Outcome:
    """Any error but the product's own is the caller's to see."""
    images = [np.empty((0, SIZE, SIZE, 3), np.uint8)]
    skipped: dict[str, str] = {}
    try:
        data = open_dataset(source, classes, limits=limits)
        skipped.update((one.name, one.reason) for one in data.skipped)
        for batch in data.batches(SIZE):
            images.append(batch.images)
            skipped.update((one.name, one.reason) for one in batch.skipped)
    except PEError as error:
        return Outcome(np.concatenate(images), skipped, str(error))
    return Outcome(np.concatenate(images), skipped)


both_kinds = pytest.mark.parametrize("kind", ["folder", "zip"])


def read_all(data: PrivateDataset, size: int = 8, **options) -> tuple[np.ndarray, list, dict]:
    """Images, class names of them, and reason by name of what was skipped at any time."""
    batches = list(data.batches(size, **options))
    ids = np.concatenate([batch.class_ids for batch in batches])
    skipped = [*data.skipped, *(one for batch in batches for one in batch.skipped)]
    assert batches[-1].done == len(data)
    return (
        np.concatenate([batch.images for batch in batches]),
        [data.class_names[i] for i in ids],
        {one.name: one.reason for one in skipped},
    )
