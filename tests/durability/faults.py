"""The n-th operation fails, for n = 1, 2, ..."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

TAKES_ROOM = ("open", "write", "mkdir", "link", "sql INSERT", "sql UPDATE", "sql CREATE")
"""What fails on a full disk."""


@dataclass
class Counting:
    """Counts operations; subclasses say what happens at ``number``."""

    number: int = 0
    done: int = 0
    told: str = ""
    kinds: list[str] = field(default_factory=list)

    def before(self, kind: str, path: Path) -> None:
        self._count(kind, path)

    def after(self, kind: str, path: Path) -> None:
        """That a COMMIT has happened may get lost on its way back."""
        if kind == "sql COMMIT":
            self._count("after COMMIT", path)

    def _count(self, kind: str, path: Path) -> None:
        self.done += 1
        self.kinds.append(kind)
        if self.done == self.number:
            self.told = f"operation {self.number}: {kind} {path.name}"
        self.act(kind)

    def act(self, kind: str) -> None:
        """Let the operation be."""


class Broken(Counting):
    """The operation ``number`` fails once, as on a disk with a bad spot."""

    def act(self, kind: str) -> None:
        if self.done == self.number:
            fail(kind, errno.EIO)


class Full(Counting):
    """From the operation ``number`` on nothing more can be stored; deleting still works."""

    def act(self, kind: str) -> None:
        if self.number and self.done >= self.number and kind in TAKES_ROOM:
            self.told = self.told or f"operation {self.done}: {kind}"
            fail(kind, errno.ENOSPC)


class Killed(Counting):
    """The process is killed at the operation ``number``."""

    def act(self, kind: str) -> None:
        if self.done == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def fail(kind: str, code: int) -> None:
    """Raise what the operation would."""
    if "sql" in kind or "COMMIT" in kind:
        raise sqlite3.OperationalError(
            "database or disk is full" if code == errno.ENOSPC else "disk I/O error"
        )
    raise OSError(code, os.strerror(code))
