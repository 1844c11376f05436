"""Small pictures of what is being made, for those who watch a run: a few, in memory only.

They are images that the generator made from released votes, and of no private image.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from PIL import Image

from pe_engine.events import Phase, Progress
from pe_engine.generators.transfer import to_uint8
from pe_engine.snapshot import Preview

KEPT = 28
PER_LOOK = 7
SECONDS_BETWEEN = 0.5
SIDE = 96  # pixels


class Previews:
    """The newest images of the batches that one thread makes; any other may read ``strip``.

    Attributes:
        newest: what a viewer is told; None before the first image.
    """

    def __init__(self) -> None:
        self.newest: Preview | None = None
        self._images: deque[np.ndarray] = deque(maxlen=KEPT)
        self._strip: np.ndarray | None = None
        self._looked = -np.inf  # when
        self._step: tuple[int, Phase] | None = None

    def record(self, event: Progress, now: float) -> None:
        """Look at a few images of this batch, unless the last look was a moment ago.

        Args:
            now: seconds of a clock that only goes forward.
        """
        if event.images is None or now - self._looked < SECONDS_BETWEEN:
            return
        self._looked = now
        step = (event.generation, event.phase)
        if step != self._step:
            self._step = step
            self._images.clear()
        n = len(event.images)
        rows = np.linspace(0, n - 1, min(n, PER_LOOK)).astype(int)
        self._images.extend(small(image) for image in to_uint8(event.images[rows]))
        self._strip = np.concatenate(list(self._images), axis=1)
        version = self.newest.version + 1 if self.newest else 1
        self.newest = Preview(version, len(self._images), *step)

    def strip(self) -> np.ndarray | None:
        """The images side by side, the oldest first: uint8 ``(S, n S, 3)``, S <= ``SIDE``."""
        return self._strip


def small(image: np.ndarray) -> np.ndarray:
    """uint8 ``(H, H, 3)`` with a side of ``SIDE`` pixels at most."""
    if len(image) <= SIDE:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
