"""The pixels themselves as features: the public seed system's embedding "original"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Pixels:
    """Each pixel value, scaled to [0, 1], is one feature.

    For a generator of grey images one number per pixel, the mean of R, G and B, is kept. The votes
    are the same as with three: for a private image x and a grey candidate y,
    Σ_c (x_c - y)² = 3 (mean_c x_c - y)² + Σ_c (x_c - mean_c x_c)² at each pixel, and the second
    term does not depend on y (likewise Σ_c x_c y = 3 y mean_c x_c for the inner product). This
    depends on the generator alone, never on the private images.
    """

    summary = "the pixels themselves; for small, centred images such as handwriting"

    def __init__(self, image_size: int, device: str, grey: bool) -> None:
        self._grey = grey
        self.dimension = image_size * image_size * (1 if grey else 3)

    def embed(self, images: np.ndarray | torch.Tensor) -> np.ndarray:
        """Float32 ``(N, D)`` in [0, 1], row by row from the top, R, G, B of a pixel together.

        Args:
            images: uint8 ``(N, H, W, 3)``, or a float32 tensor ``(N, 3, H, W)`` in [0, 1].
        """
        if not isinstance(images, np.ndarray):
            pixels = images.mean(dim=1) if self._grey else images.permute(0, 2, 3, 1)
            return pixels.flatten(start_dim=1).cpu().numpy()
        if self._grey:
            # a broadcast view of one channel need not be summed: R + G + B = 3 R
            total = (
                images[..., 0] * np.uint16(3)
                if images.strides[-1] == 0
                else images.sum(axis=-1, dtype=np.uint16)
            )
            return (total.reshape(len(images), -1) * np.float32(1 / 765)).astype(np.float32)
        return images.reshape(len(images), -1) * np.float32(1 / 255)
