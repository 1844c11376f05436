"""kill -9 at every operation of a run, and at random moments of it.

``python -m tests.durability.kills EVERY RANDOM`` prints the tallies as JSON. A process of its own
does it, with one thread: a process that has used more cannot be forked safely.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from itertools import count
from pathlib import Path

from tests.conftest import ROOT
from tests.durability.faults import Counting, Killed
from tests.durability.operations import watched
from tests.durability.scene import Scene, private_images
from tests.durability.sweeps import Tally, come_through, scenes

VARIANTS = (
    {"upload": False, "keep_features": False},
    {"upload": True, "keep_features": False},
    {"upload": True, "keep_features": True},
)


def run_apart(every: int, at_random: int) -> list[Tally]:
    """The tallies of a fresh process."""
    command = [sys.executable, "-m", "tests.durability.kills", str(every), str(at_random)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    said = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return [Tally(**one) for one in json.loads(said.stdout)]


def killed_at_every_operation(stages: Iterator[Scene], every: int) -> Tally:
    """kill -9 before operation n = 1, 1 + ``every``, ... until a run is over before that."""
    tally = Tally("kill -9 before the n-th operation")
    for number, scene in zip(count(1, every), stages, strict=False):
        if not in_a_child(scene, Killed(number)):
            return tally
        tally.attempt(f"operation {number}", lambda scene=scene: come_through(scene, killed=True))
        shutil.rmtree(scene.root)
    raise AssertionError("there are always more scenes")


def killed_at_random(stages: Iterator[Scene], times: int) -> Tally:
    """kill -9 ``times`` times, at any moment of a run."""
    tally = Tally("kill -9 at a random moment")
    started = time.monotonic()
    in_a_child(next(stages))
    whole = time.monotonic() - started
    for _, scene in zip(range(times), stages, strict=False):
        moment = random.uniform(0, whole)
        in_a_child(scene, meanwhile=lambda child, moment=moment: _kill_after(child, moment))
        tally.attempt(f"{moment:.4f} s", lambda scene=scene: come_through(scene, killed=True))
        shutil.rmtree(scene.root)
    return tally


def in_a_child(
    scene: Scene, watcher: Counting | None = None, meanwhile: Callable[[int], None] = lambda _: None
) -> bool:
    """Let a child process live the scene; whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            with watched(scene.root, watcher) if watcher else nullcontext():
                scene.live()
        finally:
            os._exit(0)
    meanwhile(child)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_after(child: int, seconds: float) -> None:
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)


def _warm_up(folder: Path, private: Path) -> None:
    """Import and compute what a process does once, so that a child need not; in one thread."""
    import faiss
    import torch

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    for scene, _ in zip(scenes(folder, private), range(2), strict=False):
        scene.recover()


def main(every: int, at_random: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        private = private_images(folder / "private")
        _warm_up(folder / "warm", private)
        tallies = []
        for i, variant in enumerate(VARIANTS):
            stages = scenes(folder / str(i), private, **variant)
            tallies.append(killed_at_every_operation(stages, every))
            tallies.append(killed_at_random(stages, -(-at_random // len(VARIANTS))))
            print(variant, tallies[-2:], file=sys.stderr, flush=True)
    print(json.dumps([asdict(tally) for tally in tallies]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
