"""Files of a folder or zip, read and decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pe_engine.decode_pool import DecodePool
from pe_engine.decoding import TINY_BYTES, UnreadableError, decode_tiny
from pe_engine.sources import Read, Skipped

_CHUNK = 16  # files that a thread is given at a time


@dataclass(frozen=True, eq=False)
class Decoded:
    """One image: uint8 ``(S, S, 3)``, RGB, or ``(S, S, 1)``; and the SHA-256 of its file."""

    pixels: np.ndarray
    digest: bytes


Result = Decoded | Skipped


class Reader:
    """Reads and decodes files, as many at once as there are processors, at most 8.

    Tiny files are decoded where they are, in the thread that asks: around them the interpreter's
    lock is all that matters, and threads that pass it to and fro take up to twice as long. All
    others are decoded in processes that can be ended; see ``DecodePool``.

    Args:
        read: of the folder or zip, while it is open.
        max_pixels: of an image.
        workers: how many processes; None for one per processor, at most 8.
    """

    def __init__(self, read: Read, max_pixels: int, workers: int | None) -> None:
        self._read = read
        self._max_pixels = max_pixels
        self._threads = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1))
        self._processes = DecodePool()

    def start(self, names: Sequence[str], image_size: int) -> list[Future[list[Result]]]:
        """What will hold a result for each file, in order.

        A result raises DataError where no process can be started.
        """
        chunks = [names[i : i + _CHUNK] for i in range(0, len(names), _CHUNK)]
        return [future for chunk in chunks for future in self._start(chunk, image_size)]

    def all(self, names: Sequence[str], image_size: int) -> list[Result]:
        """A result for each file, in order."""
        return [one for future in self.start(names, image_size) for one in future.result()]

    def close(self) -> None:
        """End at once; what is still being decoded is lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._processes.close()
        self._threads.shutdown()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, names: Sequence[str], image_size: int) -> list[Future[list[Result]]]:
        done: list[Result] = []
        for name in names:
            result = self._tiny(name, image_size)
            if result is None:
                break
            done.append(result)
        here: Future[list[Result]] = Future()
        here.set_result(done)
        rest = names[len(done) :]
        return [here, self._threads.submit(self._decoded, rest, image_size)] if rest else [here]

    def _tiny(self, name: str, image_size: int) -> Result | None:
        """None for a file that is not tiny."""
        try:
            data = self._read(name, TINY_BYTES + 1)
            pixels = decode_tiny(data, image_size, self._max_pixels)
        except UnreadableError as error:
            return Skipped(name, str(error))
        return None if pixels is None else _result(pixels, data)

    def _decoded(self, names: Sequence[str], image_size: int) -> list[Result]:
        return [self._one(name, image_size) for name in names]

    def _one(self, name: str, image_size: int) -> Result:
        try:
            data = self._read(name)
            pixels = decode_tiny(data, image_size, self._max_pixels)
            if pixels is None:
                pixels = self._processes.decode(data, image_size, self._max_pixels)
        except UnreadableError as error:
            return Skipped(name, str(error))
        return _result(pixels, data)


def _result(pixels: np.ndarray, data: bytes) -> Decoded:
    return Decoded(pixels, hashlib.sha256(data).digest())
