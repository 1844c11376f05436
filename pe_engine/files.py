"""Files and folders that only their owner can read, written so that a crash leaves old or new."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

OWNER_ONLY_FILE = 0o600
OWNER_ONLY_FOLDER = 0o700
PART = ".part"


def typed_path(text: str) -> Path:
    """A path as a person types it: ~ is their home, if there is such a user."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def owner_folder(path: Path) -> Path:
    """``path`` as a folder that only its owner can enter, created if missing, for good."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)
    return path


def home_folder(otherwise: Path | None = None) -> Path:
    """Where the ledger, uploads and the page's runs lie: ``PE_HOME``, else the folder
    ``otherwise``, else a per-user data folder.

    Created with mode 0700 if missing.
    """
    from platformdirs import user_data_path

    named = os.environ.get("PE_HOME") or otherwise
    return owner_folder(
        Path(named) if named else user_data_path("private-evolution-studio", appauthor=False)
    )


@contextmanager
def atomic_write(path: Path, mode: int = OWNER_ONLY_FILE) -> Iterator[IO[bytes]]:
    """A binary file that appears at ``path`` complete and synced, or not at all."""
    temporary = part_of(path)
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


def part_of(path: Path) -> Path:
    """Where what is to be at ``path`` lies while it is not complete."""
    return path.with_name(f".{path.name}{PART}")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Store JSON values; see ``atomic_write``."""
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False).encode())


def put_in_place(complete: Path, path: Path) -> None:
    """Give a complete file its name ``path``, where it outlasts a power cut; both lie anywhere."""
    with complete.open("r+b") as file:
        os.fsync(file.fileno())
    try:
        complete.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with complete.open("rb") as source, atomic_write(path) as target:
            shutil.copyfileobj(source, target)
        complete.unlink()
    sync_folder(path.parent)
    sync_folder(complete.parent)


def remove_parts(folder: Path) -> None:
    """Delete what writers left below ``folder`` when they were cut off; none may be at work."""
    for left in folder.rglob(f".*{PART}"):
        left.unlink()


def sync_all() -> None:
    """Make all that was written outlast a power cut: for very many files at once."""
    if os.name != "nt":
        os.sync()


def sync_folder(path: Path) -> None:
    """Make what was created or renamed in a folder outlast a power cut."""
    if os.name == "nt":  # Windows cannot open a folder; its rename is already journalled
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
