"""A disk that is really full: a small tmpfs of one's own, filled but for some pages.

``python -m tests.durability.full_disk PAGES`` prints the tally as JSON; it must run as root of a
mount namespace of its own, as ``run_apart`` does where the system allows it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.conftest import ROOT
from tests.durability.scene import Lost, Scene, private_images
from tests.durability.sweeps import Tally, come_through, scenes

DISK_BYTES = 2**20
PAGE = os.sysconf("SC_PAGE_SIZE")


def run_apart(pages: int) -> Tally | None:
    """The tally of a process with a small disk; None where the system lets nobody mount one."""
    command = [sys.executable, "-m", "tests.durability.full_disk", str(pages)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    alone = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        return None
    said = subprocess.run(
        [*alone, *command], cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE
    )
    return Tally(**json.loads(said.stdout)) if said.returncode == 0 else None


def on_a_small_disk(folder: Path, private: Path, pages: int) -> Tally:
    """Runs on a disk with 0, ``pages``, 2 ``pages``, ... free pages, until one comes to its end."""
    tally = Tally("full disk (a real one, tmpfs)")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    free = 0
    for scene in scenes(folder, private, upload=True):
        with _ballast(folder, free):
            told = _told(scene)
        if not told:
            return tally
        where = f"{free} bytes free"
        tally.attempt(where, lambda scene=scene, told=told: _come_through(scene, told))
        shutil.rmtree(scene.root)
        free += pages * PAGE
    raise AssertionError("there are always more scenes")


def with_small_files(stages: Iterator[Scene], step: int) -> Tally:
    """No file may have more than 0, ``step``, ... bytes, as by a quota, until a run ends so."""
    tally = Tally("no file may grow beyond n bytes (RLIMIT_FSIZE)")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for i, scene in enumerate(stages):
        resource.setrlimit(resource.RLIMIT_FSIZE, (i * step, hard))
        try:
            told = _told(scene)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        if not told:
            return tally
        where = f"{i * step} bytes"
        tally.attempt(where, lambda scene=scene, told=told: _come_through(scene, told))
        shutil.rmtree(scene.root)
    raise AssertionError("there are always more scenes")


def _told(scene: Scene) -> str:
    """What is said of a run that fails; "" of one that is done."""
    told = scene.live()
    return told if isinstance(told, str) else told.error


def _come_through(scene: Scene, told: str) -> None:
    if not told.endswith((".", "device", "large", "space")):
        raise Lost(f"this is no sentence: {told}")
    come_through(scene)


@contextmanager
def _ballast(folder: Path, free: int) -> Iterator[None]:
    """Fill the disk of ``folder`` but for ``free`` bytes."""
    ballast = folder / "ballast"
    size = shutil.disk_usage(folder).free - free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
    try:
        yield
    finally:
        ballast.unlink()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        made = private_images(Path(name) / "private")
        try:
            found = on_a_small_disk(Path(name) / "disk", made, int(sys.argv[1]))
        finally:
            subprocess.run(["umount", str(Path(name) / "disk")], check=True)
    print(json.dumps(asdict(found)))
