"""Which synthetic images of a generation the page shows: as many of every class, page by page."""

from __future__ import annotations

from typing import Any

import numpy as np

from pe_engine.population import sample_indices

COLUMNS = 7  # the page sets 7 or 14 side by side
IMAGES_IN_ALL = 84
IMAGES_WITHOUT_CLASSES = 70
CAPTIONS = {
    "own": "Sorted by the noisy votes for these images, most votes first.",
    "parents": "Sorted by the noisy votes for each image's parent, most votes first: there are "
    "none for these images themselves.",
    "made": "In the order in which they were made.",
    "none": "In the order in which they were made: there are no votes yet to sort by.",
}


def gallery_rows(
    class_ids: np.ndarray,
    class_names: tuple[str, ...],
    votes: np.ndarray | None = None,
    by_votes: bool = False,
    page: int = 0,
) -> list[dict[str, Any]]:
    """One row a class: ``{"name": str, "indices": [int, ...], "votes": [int, ...] or None,
    "total": int, "page": int, "pages": int}``.

    Args:
        class_ids: int64 ``(N,)`` of the population.
        class_names: what each class id is called on the page; ``("",)`` without classes.
        votes: int64 ``(N,)``, noisy votes to tell beside each image.
        by_votes: most votes first, and as made where they are equal. Else as made, but the first
            page is spread evenly over the class: neighbours are often siblings.
        page: from 0; a row that has no such page shows its last one.
    """
    size = _row_size(len(class_names))
    spread = sample_indices(class_ids, size)
    rows = []
    for class_id, name in enumerate(class_names):
        ours = np.flatnonzero(class_ids == class_id)
        if by_votes and votes is not None:
            ours = ours[np.argsort(-votes[ours], kind="stable")]
        elif len(ours):
            first = spread[class_id]
            ours = np.concatenate([first, np.setdiff1d(ours, first)])
        pages = max(-(-len(ours) // size), 1)
        here = min(max(page, 0), pages - 1)
        shown = ours[here * size : (here + 1) * size]
        rows.append(
            {
                "name": name,
                "indices": shown.tolist(),
                "votes": None if votes is None else votes[shown].tolist(),
                "total": len(ours),
                "page": here,
                "pages": pages,
            }
        )
    return rows


def _row_size(classes: int) -> int:
    if classes == 1:
        return IMAGES_WITHOUT_CLASSES
    return max(IMAGES_IN_ALL // classes // COLUMNS, 1) * COLUMNS
