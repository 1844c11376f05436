"""A power cut before every operation of a run: only what was synced is there afterwards.

The strictest reading of POSIX: a file holds what it held at its last fsync, and a folder the names
that it had at its own, whatever was written, created, renamed or deleted since. The files of SQLite
are taken as they are: it syncs below what can be seen here, and is trusted to.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.durability.operations import watched
from tests.durability.scene import Scene
from tests.durability.sweeps import Tally, come_through

SQLITE = "ledger.sqlite"


@dataclass
class Disk:
    """What would be found after a power cut now; ``cut`` is told where to put it.

    Attributes:
        content: of every file that was synced, by inode.
        names: of every folder that was synced, by its inode: each entry's inode, and whether it is
            a folder.
        ledger: the database at its last commit.
        held: descriptors that keep the inodes from being used again.
    """

    scene: Scene
    cuts: Path
    every: int
    content: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    ledger: bytes = b""
    held: list[int] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        for path in (self.scene.root, *self.scene.root.rglob("*")):
            self.after("fsync", path)

    def before(self, kind: str, path: Path) -> None:
        self.done += 1
        if self.done % self.every == 0:
            name = f"{self.scene.name}-{self.done:04d}"
            self._restore(self.scene.root.stat().st_ino, self.cuts / name)
            if (self.cuts / name / "home").is_dir():
                (self.cuts / name / "home" / SQLITE).write_bytes(self.ledger)
            drawn = self.scene.private / "drawn"
            if (drawn / self.scene.name).exists():
                shutil.copytree(drawn / self.scene.name, drawn / name)

    def after(self, kind: str, path: Path) -> None:
        if kind == "sql COMMIT":  # at another time, closing it would give up SQLite's locks
            self.ledger = path.read_bytes()
        if kind != "fsync":
            return
        self.held.append(os.open(path, os.O_RDONLY))
        inode = path.stat().st_ino
        if path.is_dir():
            self.names[inode] = {e.name: (e.inode(), e.is_dir()) for e in os.scandir(path)}
        else:
            self.content[inode] = path.read_bytes()

    def close(self) -> None:
        for descriptor in self.held:
            os.close(descriptor)

    def _restore(self, folder: int, target: Path) -> None:
        target.mkdir()
        for name, (inode, is_folder) in self.names.get(folder, {}).items():
            if is_folder:
                self._restore(inode, target / name)
            elif not name.startswith(SQLITE):
                (target / name).write_bytes(self.content.get(inode, b""))


def power_cuts(scene: Scene, cuts: Path, every: int) -> Tally:
    """A run that is cut at every operation, and goes on from each of the disks found then."""
    tally = Tally("power cut before the n-th operation, all that is not synced is gone")
    cuts.mkdir()
    disk = Disk(scene, cuts, every)
    with watched(scene.root, disk):
        scene.live()
    disk.close()
    for found in sorted(cuts.iterdir()):
        after = replace(scene, root=found, name=found.name)
        if (after.out / "private" / "upload.zip").is_file():
            after.dropped.unlink(missing_ok=True)  # as uploads.remove_stale does after a day
        tally.attempt(found.name, lambda after=after: come_through(after, killed=True))
    return tally
