"""From the device to the host without waiting: copies that run while the device works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pe_engine.errors import GeneratorError
from pe_engine.generators.base import State

if TYPE_CHECKING:
    import torch


class HostCopy:
    """Starts copying a state to the host; ``state()`` waits for it.

    Args:
        state: its torch tensors may be on any device; numpy arrays are passed on.
    """

    def __init__(self, state: State) -> None:
        self._arrays = {
            name: array if isinstance(array, np.ndarray) else array.to("cpu", non_blocking=True)
            for name, array in state.items()
        }
        self._copied = None
        if any(getattr(array, "is_cuda", False) for array in state.values()):
            import torch

            self._copied = torch.cuda.current_stream().record_event()

    def state(self) -> dict[str, np.ndarray]:
        """The same state in numpy arrays."""
        if self._copied is not None:
            self._copied.synchronize()
        return {
            name: array if isinstance(array, np.ndarray) else self._unpinned(array)
            for name, array in self._arrays.items()
        }

    def _unpinned(self, array: torch.Tensor) -> np.ndarray:
        """In memory that may be swapped out and given back, unlike that for copies of a device."""
        return array.numpy() if self._copied is None else array.numpy().copy()


def check_made(generator: object, state: State, rows: int, images: np.ndarray | None) -> None:
    """What a generator made is what it was asked for.

    Args:
        rows: how many images were asked for.
        images: as ``to_uint8`` gives them; None where they are not looked at.

    Raises:
        GeneratorError: it is something else, which only a generator of a user's own can do.
    """
    name = type(generator).__name__
    for part, array in state.items():
        if len(array) != rows:
            raise GeneratorError(
                f"The generator {name} made a state whose {part} has {len(array)} rows for {rows} "
                "images. Give every array one row for each image."
            )
    if images is None:
        return
    size = generator.image_size
    if images.dtype != np.uint8 or images.shape != (rows, size, size, 3):
        raise GeneratorError(
            f"The generator {name} rendered {images.dtype} {images.shape} where uint8 "
            f"{(rows, size, size, 3)} was asked for. Mend its method render."
        )


def to_uint8(images: np.ndarray | torch.Tensor) -> np.ndarray:
    """What ``Generator.render`` gave, as uint8 ``(N, H, W, 3)`` on the host."""
    if isinstance(images, np.ndarray):
        return images
    return images.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
