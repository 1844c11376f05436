"""The seam between Private Evolution and an image embedding.

An embedder is named in ``embedders.EMBEDDERS`` and built as ``Class(image_size, device, grey)``.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np


class Embedder(Protocol):
    """Maps images to feature vectors, each row on its own."""

    summary: ClassVar[str]
    """One line for ``pe_engine generators`` and the page."""

    dimension: int
    """D, the length of a feature vector."""

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Features of uint8 ``(N, H, W, 3)`` images as float32 ``(N, D)``.

        Work is done in fixed-size padded batches, so that a row never depends, not even in its
        last bit, on the other rows: otherwise adding one private image could change the vote of
        another.
        """
