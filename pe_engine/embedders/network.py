"""A pretrained network as an embedder: preparing images on the device, batches of one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pe_engine.errors import GeneratorError

if TYPE_CHECKING:
    import torch

BATCH = 32


@dataclass(frozen=True)
class Inputs:
    """What a network was trained on.

    Attributes:
        size: height and width in pixels.
        mean, deviation: of R, G and B in [0, 1]; the network sees (x - mean) / deviation.
    """

    size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


class NetworkEmbedder:
    """Features of images from a network that looks at each image on its own.

    Every batch has the same shape and memory layout, short ones are padded with black images, and
    kernels are chosen by shape alone, so that a row is computed in the same way whatever else is
    embedded and wherever it stands.

    Networks run in float32: half precision would round near candidates to the same features, and
    next to making an image the time to embed it is small.

    Args:
        network: prepared images ``(batch, 3, size, size)`` -> features ``(batch, dimension)``,
            in evaluation mode, on ``device``.
    """

    def __init__(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        dimension: int,
        inputs: Inputs,
        device: str,
        batch_size: int = BATCH,
    ) -> None:
        self.dimension = dimension
        self._network = network
        self._inputs = inputs
        self._device = device
        self._batch_size = batch_size

    def embed(self, images: np.ndarray | torch.Tensor) -> np.ndarray:
        """Float32 ``(N, D)`` on the host of uint8 or float images; see ``base.Embedder``."""
        import torch

        features = torch.empty((len(images), self.dimension), device=self._device)
        try:
            with torch.inference_mode(), steady():
                for start in range(0, len(images), self._batch_size):
                    part = images[start : start + self._batch_size]
                    batch = prepare(self._padded(part), self._inputs)
                    features[start : start + len(part)] = self._network(batch)[: len(part)]
            return features.cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise GeneratorError(
                "The memory of the GPU is too small to embed images beside the generator. Lower "
                "the generator's option batch_size, choose the embedder pixels, or set the device "
                "to cpu."
            ) from error

    def _padded(self, part: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Float32 ``(batch, 3, H, W)`` in [0, 1] on the device, contiguous."""
        import torch

        shape = (self._batch_size, *part.shape[1:])
        if isinstance(part, np.ndarray):
            host = np.zeros(shape, np.uint8)
            host[: len(part)] = part
            pixels = torch.from_numpy(host).to(self._device).permute(0, 3, 1, 2)
            return pixels.contiguous() / 255
        batch = torch.zeros(shape, device=self._device)
        batch[: len(part)] = part
        return batch


@contextmanager
def steady() -> Iterator[None]:
    """Kernels are never chosen by timing, and factors of a product keep all their bits, whatever
    else in this process has asked for.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def prepare(images: torch.Tensor, inputs: Inputs) -> torch.Tensor:
    """Images ``(N, 3, H, W)`` in [0, 1] as a network expects them: ``(N, 3, size, size)``.

    The antialiased bicubic filter is Pillow's (a = -0.5); its overshoots are cut off, as in
    clean-fid's resizing (Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN
    Evaluation", CVPR 2022). Nothing is rounded to 8 bits.
    """
    from torch.nn.functional import interpolate

    resized = interpolate(images, (inputs.size, inputs.size), mode="bicubic", antialias=True)
    mean, deviation = (
        resized.new_tensor(values).view(1, 3, 1, 1) for values in (inputs.mean, inputs.deviation)
    )
    return (resized.clamp(0, 1) - mean) / deviation
