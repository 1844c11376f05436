"""Decodes files that nobody vouches for in processes that can be ended.

A file that crashes its reader, or that takes too much time or memory, costs that one file; the
process is replaced. Tiny files are decoded where they are: see ``decode_tiny``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, LifoQueue

import numpy as np

from pe_engine.decode_worker import (
    ANSWER,
    DAMAGED,
    GREY,
    READY,
    REQUEST,
    RGB,
    SIZE,
    UNREADABLE,
    WIDTH_HEIGHT,
)
from pe_engine.decoding import DamagedError, UnreadableError
from pe_engine.errors import DataError

SECONDS = 10.0
"""For one file; more costs it."""

_TICK = 0.25  # seconds between two looks at whether a process is late
_START_SECONDS = 60.0
_GRACE_SECONDS = 5  # after which a process whose parent is gone ends by itself
_LONGEST_REASON = 1000
# where libraries are found; everything else, such as keys to services, stays here
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TEMP")
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from pe_engine.decode_worker import main; main()"
)


class DecodePool:
    """As many processes as threads decode at once; each is started when it is first needed.

    Args:
        seconds: that one file may take. They are counted by looking at the process every quarter of
            a second, so that a machine that was asleep is not held against a file.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._all: set[_Process] = set()
        self._idle: LifoQueue[_Process] = LifoQueue()
        self._watcher = threading.Thread(target=self._watch, name="decode-watch", daemon=True)

    def decode(self, data: bytes, size: int, max_pixels: int) -> np.ndarray:
        """As ``decoding.decode``; safe from any thread.

        Raises:
            UnreadableError: what ``decoding.decode`` says; or it takes too long; or it ended two
                processes that tried to decode it; or the pool is closed meanwhile.
            DataError: no process can be started.
        """
        kind, content = self._asked(data, size, max_pixels)
        return np.frombuffer(content, np.uint8).reshape(size, size, kind)

    def measure(self, data: bytes, max_pixels: int) -> tuple[int, int]:
        """As ``decoding.measure``; raises what ``decode`` raises."""
        _, content = self._asked(data, 0, max_pixels)
        if len(content) != WIDTH_HEIGHT.size:
            raise UnreadableError("cannot be decoded: its reader answers nonsense")
        return WIDTH_HEIGHT.unpack(content)

    def _asked(self, data: bytes, size: int, max_pixels: int) -> tuple[int, bytes]:
        """What kind of answer a process gives, and its content."""
        request = REQUEST.pack(
            size, max_pixels, math.ceil(self._seconds) + _GRACE_SECONDS, len(data)
        )
        for _ in range(2):  # a process may also be ended by what is not the file's fault
            process = self._taken()
            try:
                answer = process.ask(request, data, size, self._seconds)
            except (OSError, EOFError, ValueError):
                self._end(process)
                if self._closed.is_set():
                    raise UnreadableError("was not decoded, since all work was ended") from None
                if process.is_late:
                    raise UnreadableError(
                        f"takes more than {self._seconds:g} seconds to decode"
                    ) from None
            else:
                self._idle.put(process)
                return _checked(*answer)
        raise UnreadableError("cannot be decoded: its reader crashes or runs out of memory")

    def close(self) -> None:
        """End the processes at once, whatever they are doing."""
        with self._lock:
            self._closed.set()
            processes = list(self._all)
        for process in processes:
            self._end(process)

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _taken(self) -> _Process:
        """A process that nobody else uses."""
        with contextlib.suppress(Empty):
            while True:
                process = self._idle.get_nowait()
                if process.is_alive:
                    return process
                self._end(process)
        try:
            process = self._started()
            process.wait_until_ready()
        except (OSError, EOFError, ValueError) as error:
            if self._closed.is_set():
                raise UnreadableError("was not decoded, since all work was ended") from None
            raise DataError(
                "No process can be started to decode images in. Close other programs, which frees "
                "memory, and try again."
            ) from error
        return process

    def _started(self) -> _Process:
        with self._lock:
            if self._closed.is_set():
                raise EOFError
            if not self._watcher.is_alive():
                self._watcher.start()
            process = _Process()
            self._all.add(process)
            return process

    def _end(self, process: _Process) -> None:
        process.end()
        with self._lock:
            self._all.discard(process)

    def _watch(self) -> None:
        while not self._closed.wait(_TICK):
            with self._lock:
                processes = list(self._all)
            for process in processes:
                process.tick()


class _Process:
    """One process; used by one thread at a time, while another looks at its time."""

    def __init__(self) -> None:
        here = str(Path(__file__).resolve().parents[1])
        path = [here, *(str(Path(folder).absolute()) for folder in sys.path)]
        self._lock = threading.Lock()
        self._left = math.inf
        self.is_late = False
        self._popen = subprocess.Popen(
            # -I and -S: neither the environment nor a start-up file adds anything
            [sys.executable, "-I", "-S", "-c", _PROGRAM, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={n: os.environ[n] for n in _ENVIRONMENT if n in os.environ}
            | {"OPENBLAS_NUM_THREADS": "1"},  # threads that nobody needs take address space
            # Ctrl-C in a terminal is the parent's affair
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def wait_until_ready(self) -> None:
        with self._within(_START_SECONDS):
            if self._answer({READY: 0})[0] != READY:
                raise ValueError("another answer")

    def ask(self, request: bytes, data: bytes, size: int, seconds: float) -> tuple[int, bytes]:
        """The kind of its answer, and what follows.

        Raises:
            OSError, EOFError, ValueError: it ended or was ended, or its answer is none.
        """
        told = {GREY: size**2, RGB: 3 * size**2} if size else {SIZE: WIDTH_HEIGHT.size}
        longest = told | {
            UNREADABLE: _LONGEST_REASON,
            DAMAGED: _LONGEST_REASON,
        }
        with self._within(seconds):
            self._popen.stdin.write(request)
            self._popen.stdin.write(data)
            self._popen.stdin.flush()
            return self._answer(longest)

    def tick(self) -> None:
        """A quarter of a second has passed."""
        with self._lock:
            self._left -= _TICK
            if self._left <= 0:
                self.is_late = True
                self._popen.kill()

    def end(self) -> None:
        """It is gone, and so are its pipes, when this returns; safe to repeat."""
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):  # what was not yet written cannot be any more
                pipe.close()

    @contextlib.contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        with self._lock:
            self._left = seconds
        yield
        with self._lock:
            self._left = math.inf
        if self.is_late:  # its answer came as it was being ended
            raise EOFError

    def _answer(self, longest: Mapping[int, int]) -> tuple[int, bytes]:
        kind, length = ANSWER.unpack(self._exactly(ANSWER.size))
        if kind not in longest or length > longest[kind]:
            raise ValueError("no answer of a decoder")
        return kind, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        content = self._popen.stdout.read(length)
        if len(content) < length:
            raise EOFError
        return content


def _checked(kind: int, content: bytes) -> tuple[int, bytes]:
    """An answer that is no reason; raises for one that is."""
    if kind == DAMAGED:
        raise DamagedError(content.decode("utf-8", "replace"))
    if kind == UNREADABLE:
        raise UnreadableError(content.decode("utf-8", "replace"))
    return kind, content
