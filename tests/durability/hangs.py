"""A model that never comes back: the generator, or the embedder, waits until it is let go."""

from __future__ import annotations

import threading
from typing import ClassVar

from pe_engine.generators.base import Generator
from tests.durability.stub import Dots


class Gate:
    """Where a call hangs."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        self.opened.wait()


class Hanging(Dots):
    """Its call ``hangs_in`` waits at ``gate``, once."""

    hangs_in: ClassVar[str] = "vary"
    gate: ClassVar[Gate] = Gate()

    def random(self, *arguments):
        return self._perhaps("random", *arguments)

    def vary(self, *arguments):
        return self._perhaps("vary", *arguments)

    def close(self):
        return self._perhaps("close")

    def _perhaps(self, name: str, *arguments):
        if name == self.hangs_in and not self.gate.reached.is_set():
            self.gate.wait()
        return getattr(Dots, name)(self, *arguments) if name != "close" else Generator.close(self)
