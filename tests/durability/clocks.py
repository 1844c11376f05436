"""A clock that is set back, or forward by days, between a fault and going on from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from unittest import mock

from tests.durability.faults import Broken
from tests.durability.operations import watched
from tests.durability.scene import Lost, Scene
from tests.durability.sweeps import Tally

DAY = 86_400.0
SHIFTS = (-400 * DAY, -DAY, -60.0, 60.0, DAY, 400 * DAY)
"""Seconds."""

STOPS = (80, 120, 160, 200)
"""Operations at which the run breaks off."""


def set_clocks(stages: Iterator[Scene]) -> Tally:
    """Runs that break off, and go on when the clock shows another time."""
    tally = Tally("clock set back or forward before a resume")
    untouched = next(stages)
    untouched.recover()
    released = (untouched.out / "report.html").read_bytes()
    real = time.time
    for shift in SHIFTS:
        for number in STOPS:
            scene = next(stages)
            with watched(scene.root, Broken(number)):
                scene.live()
            with mock.patch.object(time, "time", lambda shift=shift: real() + shift):
                where = f"{shift:+.0f} s at operation {number}"
                tally.attempt(where, lambda scene=scene: _come_through(scene, released))
    return tally


def _come_through(scene: Scene, released: bytes) -> None:
    scene.recover()
    scene.check_at_end()
    once = all(len(draws) == 1 for draws in scene.drawn.values())
    if once and (scene.out / "report.html").read_bytes() != released:
        raise Lost("the release depends on the time")
