"""What a case of a single file is, and what can become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ACCEPTED = "accepted"
EMPTY = "is empty"
DAMAGED = "is damaged or incomplete"
NO_IMAGE = "is not a PNG, JPEG, WebP, GIF, BMP or TIFF image"
TOO_LARGE = "pixels, more than the 25,000,000 allowed"
SLOW = "takes more than"


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        make: its bytes.
        outcome: ``ACCEPTED``, or what the reason for skipping it holds.
        name: of the file.
    """

    make: Callable[[], bytes]
    outcome: str
    name: str = "odd.png"


NOISE = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
