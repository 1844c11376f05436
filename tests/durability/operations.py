"""Everything that this process does to the files below one folder, one operation at a time.

Watched are opening to write, write, fsync, rename, link, unlink, mkdir, rmdir, opening a folder (to
sync it), and every SQL statement of a ledger. A watcher is asked before each, and may raise or end
the process there. What SQLite does between two statements is its own affair: it is trusted to be
as atomic as it says.
"""

from __future__ import annotations

import io
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

AUDITED = {
    "os.rename": "rename",
    "os.link": "link",
    "os.remove": "unlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
}


class Watcher(Protocol):
    """Told of each operation; raises what the operation is to fail with."""

    def before(self, kind: str, path: Path) -> None: ...

    def after(self, kind: str, path: Path) -> None:
        """An fsync, or a statement of SQL, has succeeded."""


class _Watch:
    """Who is watching which folder; audit hooks cannot be taken back, so there is one for good."""

    root: str | None = None
    watcher: Watcher | None = None
    asking = False  # what a watcher does itself is not watched

    def ask(self, when: str, kind: str, path: str | Path) -> None:
        if self.watcher is None or self.asking or not f"{path}{os.sep}".startswith(self.root):
            return
        self.asking = True
        try:
            getattr(self.watcher, when)(kind, Path(path))
        finally:
            self.asking = False


_watch = _Watch()


@contextmanager
def watched(root: Path, watcher: Watcher) -> Iterator[None]:
    """Until the end of the block ``watcher`` is asked about all operations below ``root``."""
    real = os.fsync, os.fdopen, sqlite3.connect
    _watch.root, _watch.watcher = f"{root}{os.sep}", watcher
    os.fsync, os.fdopen, sqlite3.connect = _fsync, _fdopen, _connect
    try:
        yield
    finally:
        os.fsync, os.fdopen, sqlite3.connect = real
        _watch.watcher = None


def _audit(event: str, arguments: tuple) -> None:
    if _watch.watcher is None or _watch.asking:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _watch.ask("before", "open", path)
        elif isinstance(path, str) and Path(path).is_dir():
            _watch.ask("before", "open folder", path)
    elif event in AUDITED:
        kind, path = AUDITED[event], os.fspath(arguments[0])
        folder = arguments[-1] if kind in ("unlink", "mkdir", "rmdir") else -1
        if not isinstance(path, str):
            return
        if not Path(path).is_absolute() and isinstance(folder, int) and folder >= 0:
            path = f"{path_of(folder)}{os.sep}{path}"
        _watch.ask("before", kind, path)


sys.addaudithook(_audit)

_fsync_of_system, _fdopen_of_system, _connect_of_library = os.fsync, os.fdopen, sqlite3.connect


def path_of(descriptor: int) -> str:
    """The path that a descriptor was opened at (Linux)."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _fsync(descriptor: int) -> None:
    path = path_of(descriptor)
    _watch.ask("before", "fsync", path)
    _fsync_of_system(descriptor)
    _watch.ask("after", "fsync", path)


class _Raw(io.FileIO):
    """A file whose failing writes leave half of what they were to write."""

    def write(self, data) -> int:
        try:
            _watch.ask("before", "write", path_of(self.fileno()))
        except OSError:
            super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data)


def _fdopen(descriptor: int, mode: str = "r", *arguments, **options):
    if "w" not in mode or "b" not in mode:
        return _fdopen_of_system(descriptor, mode, *arguments, **options)
    raw = _Raw(descriptor, mode.replace("b", ""))
    return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)


class _Connection(sqlite3.Connection):
    """Tells of every statement; a COMMIT may also fail after it has happened."""

    def __init__(self, path, *arguments, **options):
        super().__init__(path, *arguments, **options)
        self.path = os.fspath(path)

    def execute(self, statement, *arguments):
        first = statement.split(None, 1)[0].upper()
        _watch.ask("before", f"sql {first}", self.path)
        result = super().execute(statement, *arguments)
        _watch.ask("after", f"sql {first}", self.path)
        return result


def _connect(*arguments, **options):
    return _connect_of_library(*arguments, factory=_Connection, **options)
