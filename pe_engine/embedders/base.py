"""The seam between Private Evolution and an image embedding.

An embedder is named in ``embedders.EMBEDDERS`` and built as ``Class(image_size, device, grey)``.
Building it loads its weights, so that a run that cannot have them ends before it spends anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch


class Embedder(Protocol):
    """Maps images to feature vectors, each row on its own."""

    summary: ClassVar[str]
    """One line for ``pe_engine generators`` and the page."""

    dimension: int
    """D, the length of a feature vector."""

    def embed(self, images: np.ndarray | torch.Tensor) -> np.ndarray:
        """Features of N square images as float32 ``(N, D)`` on the host.

        Work is done in fixed-size padded batches, so that a row never depends, not even in its
        last bit, on the other rows: otherwise adding one private image could change the vote of
        another.

        Args:
            images: uint8 ``(N, H, W, 3)``, as private images are stored; or float32
                ``(N, 3, H, W)`` in [0, 1] on the embedder's device, as a generator decodes them.
        """
