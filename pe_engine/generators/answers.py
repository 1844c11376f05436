"""Images that a service answers with: read with a bound, stored for good since they are paid for,
and the tally of calls that brought none."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np

from pe_engine.decode_pool import DecodePool
from pe_engine.decoding import DamagedError, UnreadableError, decode, decode_tiny
from pe_engine.errors import DataError, GeneratorError
from pe_engine.files import OWNER_ONLY_FILE, atomic_write, owner_folder, sync_folder
from pe_engine.generators.calling import Passing
from pe_engine.images import png_bytes

MOST_PIXELS = 2**24
"""Of an image in an answer; more are not decoded."""


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


class Waste:
    """The calls that a service may have charged for although no image came of them.

    They are told in a file, an end of line for each, there for good once ``add`` returns; safe from
    any thread.

    Args:
        folder: made if missing, for its owner alone.
        more: calls that may be wasted from now on, besides those that the file tells of.
    """

    def __init__(self, folder: Path, more: int) -> None:
        self._path = owner_folder(folder) / "wasted.txt"
        self._lock = threading.Lock()
        self._told = self._path.read_bytes().count(b"\n") if self._path.exists() else 0
        self._most = self._told + more

    def __len__(self) -> int:
        return self._told

    @property
    def is_too_much(self) -> bool:
        return self._told >= self._most

    def add(self, key: str) -> None:
        """The call with this key was wasted once more."""
        with self._lock:
            how = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            descriptor = os.open(self._path, how, OWNER_ONLY_FILE)
            with os.fdopen(descriptor, "wb") as file:
                # begins with its end of line, so that it counts even if it is cut off
                file.write(f"\n{key}".encode())
                file.flush()
                os.fsync(file.fileno())
            if not self._told:
                sync_folder(self._path.parent)
            self._told += 1


class Decoders:
    """Decodes the images in answers in processes that can be ended; see ``DecodePool``.

    At most as many at once as there are processors, however many calls are under way.
    """

    def __init__(self) -> None:
        self._processes = DecodePool()
        self._turns = threading.BoundedSemaphore(min(8, os.cpu_count() or 1))

    def decoded(self, data: bytes, size: int) -> np.ndarray:
        """The image in an answer, uint8 ``(size, size, 1 or 3)``; safe from any thread.

        Raises:
            Passing: it has come by halves, or not at all.
            GeneratorError: it is of a kind that is not read or takes too much to decode, or no
                process can be started.
        """
        try:
            pixels = decode_tiny(data, size, MOST_PIXELS)
            if pixels is None:
                with self._turns:
                    pixels = self._processes.decode(data, size, MOST_PIXELS)
        except UnreadableError as error:
            if isinstance(error, DamagedError) or not data:
                raise Passing(f"its image {error}") from None
            raise unfit(str(error)) from None
        except DataError as error:
            raise GeneratorError(str(error)) from error
        return pixels

    def close(self) -> None:
        """End the processes."""
        self._processes.close()


def unfit(why: str) -> GeneratorError:
    """What to say of an image after which the next one would be no better; ``why`` has the verb."""
    return GeneratorError(
        f"An image that the service made {why}. Start a run that asks for another model or size."
    )
