"""How a process ends that has driven runs."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

JOIN_SECONDS = 5.0


class RunThread(threading.Thread):
    """Drives a run; Python does not wait for it by itself, because it may hang for good."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)


def end_process(code: int) -> NoReturn:
    """End with this exit code, after all threads of runs that end within ``JOIN_SECONDS``.

    A thread frees models after its run has ended, and native code in a thread breaks down if the
    interpreter goes first. Where one hangs the interpreter is therefore not taken down at all.
    """
    until = time.monotonic() + JOIN_SECONDS
    driving = [thread for thread in threading.enumerate() if isinstance(thread, RunThread)]
    for thread in driving:
        thread.join(max(until - time.monotonic(), 0))
    if any(thread.is_alive() for thread in driving):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
