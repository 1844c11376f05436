"""A function over many rows, in processes that are kept from one call to the next."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

import numpy as np

from pe_engine.errors import GeneratorError

CHUNK = 16
"""Rows that a process is given at a time; fewer than two chunks are worked on by the caller."""

MOST_ON_WINDOWS = 61
"""More processes cannot be waited for there."""


class Processes:
    """Applies a function to rows, in processes that start with the first large call.

    They end with ``close``, when this object is no longer used, and when the process that started
    them ends, however it does.

    Args:
        function: one array of rows -> one array of as many rows, each from its own row alone; it
            can be pickled.
        count: how many processes, at least 1; with 1 the caller does the work. On Windows there
            are at most 61.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], count: int) -> None:
        self._function = function
        self._count = min(count, MOST_ON_WINDOWS) if sys.platform == "win32" else count
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The function's result for all rows.

        Raises:
            GeneratorError: processes ended while they worked, and so did those in their place.
        """
        if self._count == 1 or len(rows) < 2 * CHUNK:
            return self._function(rows)
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        try:
            return self._spread(chunks)
        except BrokenProcessPool:
            self.close()
        try:
            return self._spread(chunks)
        except BrokenProcessPool as error:
            self.close()
            raise GeneratorError(
                "A process that draws images was ended twice, perhaps for want of memory. Set the "
                "generator's option processes to 1."
            ) from error

    def close(self) -> None:
        """End the processes."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _spread(self, chunks: list[np.ndarray]) -> np.ndarray:
        if self._pool is None:
            # a fork would copy torch's threads half
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, context, _follow_parent)
        return np.concatenate(list(self._pool.map(self._function, chunks)))


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _follow_parent() -> None:
    """In a new process: Ctrl-C is the parent's affair, and so is when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # a parent that was killed cannot say goodbye, and its pipes stay open in its other children
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
