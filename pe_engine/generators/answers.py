"""The durable store of answers that were paid for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pe_engine.decoding import UnreadableError, decode
from pe_engine.files import atomic_write, owner_folder
from pe_engine.images import png_bytes


class Answers:
    """One image per key, as a PNG file, there for good once ``put`` returns.

    Args:
        folder: made if missing, for its owner alone.
        image_size: height and width of the images in pixels.
    """

    def __init__(self, folder: Path, image_size: int) -> None:
        self._folder = owner_folder(folder)
        self._size = image_size
        self._keys = {path.stem for path in folder.glob("*.png")}

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: str) -> np.ndarray | None:
        """uint8 ``(H, W, 3)``; None if there is none, or a damaged disk has lost it."""
        if key not in self._keys:
            return None
        try:
            image = decode(self._path(key).read_bytes(), self._size, self._size**2)
        except UnreadableError:
            return None
        return np.broadcast_to(image, (*image.shape[:2], 3))

    def put(self, key: str, image: np.ndarray) -> None:
        """Store an image, uint8 ``(H, W, 3)``; safe from any thread."""
        with atomic_write(self._path(key)) as file:
            file.write(png_bytes(image))
        self._keys.add(key)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.png"
