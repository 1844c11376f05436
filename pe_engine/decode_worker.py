"""The process in which a file that nobody vouches for is decoded; ``decode_pool`` starts it.

It is given the bytes of one file after another through its input and answers with pixels, or with
the reason why there are none. It has no other file, no setting of its parent's environment, and is
ended by the system where it asks for too much memory or time. Only plain bytes come back: what
unpickles could be made to do anything by a reader that was taken over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
from typing import BinaryIO

from pe_engine.decoding import DamagedError, UnreadableError, decode, measure

try:
    import resource
except ImportError:  # Windows has none
    resource = None

REQUEST = struct.Struct("<IQIQ")
"""Image size (0 to be told the image's own), most pixels, seconds after which the process ends by
itself, bytes that follow."""

ANSWER = struct.Struct("<BI")
"""What follows, and its bytes."""

GREY, RGB = 1, 3
"""Pixels of so many channels follow."""

SIZE = 2
"""``WIDTH_HEIGHT`` follows."""

WIDTH_HEIGHT = struct.Struct("<II")

UNREADABLE, DAMAGED, READY = 10, 11, 12
"""A reason in UTF-8 follows, or nothing at all."""

MEMORY_BYTES = 1280 * 2**20
"""Of address space. 25 million pixels, the most that is allowed, need up to 0.8 GB with all that a
process has anyway: grey of 32 bits, which is scaled as whole numbers of 64."""

_OPEN_FILES = 16  # the three of every process, and one at a time while a module is imported


def main() -> None:
    """Answer until the input ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # what a library prints is no answer
        os.dup2(nothing, stream)
    os.close(nothing)
    _limit()
    _answer(answers, READY, b"")
    while request := requests.read(REQUEST.size):
        size, max_pixels, seconds, length = REQUEST.unpack(request)
        _end_after(seconds)
        _answer(answers, *_decoded(requests.read(length), size, max_pixels))
        _end_after(0)


def _decoded(data: bytes, size: int, max_pixels: int) -> tuple[int, bytes]:
    try:
        if not size:
            return SIZE, WIDTH_HEIGHT.pack(*measure(data, max_pixels))
        pixels = decode(data, size, max_pixels)
    except DamagedError as error:
        return DAMAGED, str(error).encode()
    except UnreadableError as error:
        return UNREADABLE, str(error).encode()
    return pixels.shape[-1], pixels.tobytes()


def _answer(answers: BinaryIO, kind: int, content: bytes) -> None:
    answers.write(ANSWER.pack(kind, len(content)))
    answers.write(content)
    answers.flush()


def _limit() -> None:
    if resource is None:
        return
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,  # writes no file
    }
    for kind, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS does not know all of them
            resource.setrlimit(kind, (most, most))


def _end_after(seconds: int) -> None:
    # the parent ends it earlier, unless there is no parent any more; no handler, which a library's
    # loop would keep waiting, but the system's own answer to that signal
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)
