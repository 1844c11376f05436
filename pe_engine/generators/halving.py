"""Work cut into batches that the memory holds: where one does not fit, half as many at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pe_engine.errors import GeneratorError

if TYPE_CHECKING:
    import torch


@dataclass
class Halving:
    """How many images fit into the memory at once.

    Attributes:
        at_once: rows of a batch; halved for good when the memory has run out.
        image_size: height and width in pixels, for the sentence that gives up.
        remedy: what to do if not even one image fits; a clause without a full stop.
    """

    at_once: int
    image_size: int
    remedy: str

    def __call__(
        self, n: int, work: Callable[[np.ndarray], torch.Tensor], equal: bool = False
    ) -> torch.Tensor:
        """``work`` on the rows 0..n-1, batch by batch, put together.

        Args:
            work: takes row numbers, int64 ``(B,)``, and may be asked for them again.
            equal: a compiled model gets batches of one size only: the last one is filled up with
                its last row.

        Raises:
            GeneratorError: not even one row fits.
        """
        import torch

        parts, done = [], 0
        while done < n:
            rows = np.arange(done, min(n, done + self.at_once))
            fill = self.at_once - len(rows) if equal else 0
            try:
                parts.append(work(np.pad(rows, (0, fill), mode="edge"))[: len(rows)])
                done += len(rows)
                continue
            except torch.OutOfMemoryError as error:
                if self.at_once == 1:
                    raise GeneratorError(
                        f"Not even one image of {self.image_size} x {self.image_size} pixels fits "
                        f"into the memory of the GPU. {self.remedy}, close other programs that "
                        "use the GPU, or set the device to cpu."
                    ) from error
            self.at_once = (self.at_once + 1) // 2
            torch.cuda.empty_cache()
        return torch.cat(parts)
