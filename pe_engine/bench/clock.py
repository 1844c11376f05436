"""Wall time of pieces of work, and how much of it the UNet takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Work:
    """Something to time.

    Attributes:
        run: does it once and returns how many items (images, features, votes) it made.
        warm_up: what to do first, untimed; None for ``run``.
    """

    run: Callable[[], int]
    warm_up: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Timing:
    """What was measured of one work.

    Attributes:
        items: made by one run.
        seconds: wall time of one run, the median of the repeats.
        outside_unet: share of all repeats' wall time that no UNet forward took, in [0, 1]; None
            when none ran.
        unet_rows: UNet evaluations for each item; guidance doubles them.
    """

    items: int
    seconds: float
    outside_unet: float | None
    unet_rows: float

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / self.seconds


class UNetClock:
    """Sums the time of UNet forwards on ``device``, and the rows that went through.

    On a GPU by CUDA events on the stream, so that nothing waits because it is timed.
    """

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"
        self.restart()

    def restart(self) -> None:
        self.rows = 0
        self._seconds = 0.0
        self._events: list[tuple[Any, Any]] = []

    def seconds(self) -> float:
        """Time so far; the device must have been synchronised."""
        return self._seconds + sum(a.elapsed_time(b) for a, b in self._events) / 1000

    @contextmanager
    def forward(self, rows: int) -> Iterator[None]:
        """Around one forward of a batch of ``rows``."""
        self.rows += rows
        if not self._cuda:
            start = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - start
            return
        import torch

        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        yield
        end.record()
        self._events.append((start, end))


@contextmanager
def unet_clock(device: str) -> Iterator[UNetClock]:
    """A clock that all UNets of this process run through until the end of the block.

    A call is timed from outside ``Module.__call__``, where a compiled module is still whole; hooks
    would be traced into it.
    """
    import torch
    from diffusers import UNet2DConditionModel

    clock = UNetClock(device)

    def timed(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        sample = args[0] if args else kwargs["sample"]
        with clock.forward(len(sample)):
            return torch.nn.Module.__call__(module, *args, **kwargs)

    UNet2DConditionModel.__call__ = timed
    try:
        yield clock
    finally:
        del UNet2DConditionModel.__call__


def measure(works: Mapping[str, Work], repeats: int, device: str) -> dict[str, Timing]:
    """Time the works in turns, so that whatever else the machine does meets them all alike.

    Args:
        repeats: how many turns, >= 1, after each work was warmed up.
        device: "cpu" or "cuda"; a GPU is waited for before every look at the clock.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    unet = dict.fromkeys(works, 0.0)
    rows = dict.fromkeys(works, 0)
    items = dict.fromkeys(works, 0)
    with unet_clock(device) as clock:
        for work in works.values():
            (work.warm_up or work.run)()
        for _ in range(repeats):
            for name, work in works.items():
                clock.restart()
                synchronise(device)
                start = time.perf_counter()
                items[name] = work.run()
                synchronise(device)
                seconds[name].append(time.perf_counter() - start)
                unet[name] += clock.seconds()
                rows[name] += clock.rows
    return {
        name: Timing(
            items[name],
            median(seconds[name]),
            max(0.0, 1 - unet[name] / sum(seconds[name])) if rows[name] else None,
            rows[name] / repeats / items[name],
        )
        for name in works
    }


def synchronise(device: str) -> None:
    """Wait until the GPU has done all it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
