"""Which runs there are in a folder, whose they are and when they were made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pe_engine.header import RUN_ID
from pe_engine.ownership import read_owner


@dataclass(frozen=True)
class Kept:
    """A run on disk.

    Attributes:
        owner: see ``ownership``; None of one that the command line made.
        made: seconds since 1970.
    """

    run_id: str
    owner: str | None
    made: float


class History:
    """The runs below one folder; each is read again only when something in its folder changed."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._known: dict[str, tuple[int, Kept]] = {}  # replaced as a whole: safe from any thread

    def kept(self) -> list[Kept]:
        """All runs, newest first."""
        known, found = self._known, {}
        with os.scandir(self._runs) as folders:
            for folder in folders:
                if RUN_ID.fullmatch(folder.name) is None:
                    continue
                try:
                    changed = folder.stat().st_mtime_ns
                    if folder.name in known and known[folder.name][0] == changed:
                        found[folder.name] = known[folder.name]
                    else:
                        found[folder.name] = changed, _read(Path(folder.path))
                except FileNotFoundError:
                    continue  # no run, or deleted meanwhile
        self._known = found
        return sorted((run for _, run in found.values()), key=lambda run: -run.made)


def _read(folder: Path) -> Kept:
    made = (folder / "run.json").stat().st_mtime  # written once
    return Kept(folder.name, read_owner(folder), made)
