"""Which synthetic images of a generation the page shows: the same number of every class."""

from __future__ import annotations

import numpy as np

from pe_engine.population import sample_indices

COLUMNS = 7  # the page sets 7 or 14 side by side
IMAGES_IN_ALL = 84
IMAGES_WITHOUT_CLASSES = 70


def gallery_rows(class_ids: np.ndarray, class_names: tuple[str, ...]) -> list[dict]:
    """One row a class: ``{"name": str, "indices": [int, ...]}``, evenly spaced over its images.

    Args:
        class_ids: int64 ``(N,)`` of the population.
        class_names: what each class id is called on the page; ``("",)`` without classes.
    """
    shown = IMAGES_WITHOUT_CLASSES
    if len(class_names) > 1:
        shown = max(IMAGES_IN_ALL // len(class_names) // COLUMNS, 1) * COLUMNS
    indices = [row.tolist() for row in sample_indices(class_ids, shown)]
    indices += [[]] * (len(class_names) - len(indices))  # the last classes may have no image
    return [{"name": n, "indices": i} for n, i in zip(class_names, indices, strict=True)]
