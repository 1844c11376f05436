"""Files and folders that only their owner can read, written so that a crash leaves old or new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

OWNER_ONLY_FILE = 0o600
OWNER_ONLY_FOLDER = 0o700


def typed_path(text: str) -> Path:
    """A path as a person types it: ~ is their home, if there is such a user."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def owner_folder(path: Path) -> Path:
    """``path`` as a folder that only its owner can enter, created if missing."""
    path.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_write(path: Path, mode: int = OWNER_ONLY_FILE) -> Iterator[IO[bytes]]:
    """A binary file that appears at ``path`` complete and synced, or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make what was created or renamed in a folder outlast a power cut."""
    if os.name == "nt":  # Windows cannot open a folder; its rename is already journalled
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
