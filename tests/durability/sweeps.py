"""A run under one kind of fault, over and over: how often, and what was lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.durability.faults import Counting
from tests.durability.operations import watched
from tests.durability.scene import Scene


@dataclass
class Tally:
    """One row of the table of faults.

    Attributes:
        lost: what was lost, one sentence for each time.
    """

    kind: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    def attempt(self, told: str, what: Callable[[], None]) -> None:
        """Try once more; any error that gets here is a loss."""
        self.tried += 1
        try:
            what()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told
            self.lost.append(f"{told}: {type(error).__name__}: {error}")


def nth_faults(
    kind: str, fault: Callable[[int], Counting], scenes: Iterator[Scene], every: int = 1
) -> Tally:
    """A fault at the operation n = 1, 1 + ``every``, ... until a run ends before it is reached."""
    tally = Tally(kind)
    for number, scene in zip(count(1, every), scenes, strict=False):
        watcher = fault(number)
        try:
            with watched(scene.root, watcher):
                scene.live()
        except Exception as error:  # noqa: BLE001 - not even a sentence was said
            tally.lost.append(f"{watcher.told}: {type(error).__name__}: {error}")
        if not watcher.told:
            return tally
        tally.attempt(watcher.told, lambda scene=scene: come_through(scene))
        shutil.rmtree(scene.root)
    raise AssertionError("there are always more scenes")


def come_through(scene: Scene, killed: bool = False) -> None:
    """What must hold after a fault, and after going on from it.

    Args:
        killed: there was no time to clean up; going on does that.
    """
    scene.check_at_rest()
    if not scene.out.exists() and not killed:
        scene.check_untouched()
    scene.recover()
    scene.check_at_end()


def scenes(folder: Path, private: Path, **how: bool) -> Iterator[Scene]:
    """One after another, each in a folder of its own."""
    return (Scene(folder / f"scene{i}", private, **how) for i in count())
