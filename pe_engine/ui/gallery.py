"""Which synthetic images of a generation the page shows: the same number of every class."""

from __future__ import annotations

import numpy as np

COLUMNS = 7  # the page sets 7 or 14 side by side
IMAGES_IN_ALL = 84
IMAGES_WITHOUT_CLASSES = 70


def gallery_rows(class_ids: np.ndarray, class_names: tuple[str, ...]) -> list[dict]:
    """One row a class: ``{"name": str, "indices": [int, ...]}``, evenly spaced over its images.

    Args:
        class_ids: int64 ``(N,)`` of the population.
        class_names: name of each class id; ``("",)`` without classes.
    """
    if len(class_names) == 1:
        shown = IMAGES_WITHOUT_CLASSES
    else:
        shown = max(IMAGES_IN_ALL // len(class_names) // COLUMNS, 1) * COLUMNS
    rows = []
    for class_id, name in enumerate(class_names):
        members = np.flatnonzero(class_ids == class_id)
        picks = np.linspace(0, len(members) - 1, min(shown, len(members))).round().astype(int)
        rows.append({"name": name, "indices": [int(i) for i in members[picks]]})
    return rows
