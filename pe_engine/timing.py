"""How much longer a run will take, from the work it has done."""

from __future__ import annotations

from collections import deque

from pe_engine.config import RunConfig
from pe_engine.events import Event, Loaded, Notice, Phase, Progress

_ORDER = {phase: i for i, phase in enumerate(Phase)} | {Phase.PREPARE: -2, Phase.ENTER: -1}
_MAKES_IMAGES = (Phase.RANDOM, Phase.LOOKAHEAD, Phase.VARY)


class TimeLeft:
    """Learns the seconds per unit of work of each phase; a unit is an image made or written.

    What is left of the step in work is told from its recent pace, later steps from the newest two
    of their phase; before a phase has been seen, its images are taken to cost what images have cost
    so far. Voting counts as one unit, and it and the export as nothing until seen. The reading of
    the private images is never timed.
    """

    RECENT_SECONDS = 30.0
    RECENT_BATCHES = 3  # so many at least
    STEPS = 2

    def __init__(self, config: RunConfig) -> None:
        samples, last = config.sample_schedule, config.iterations
        self._units: dict[tuple[int, Phase], float] = {(0, Phase.RANDOM): samples[0]}
        for t in range(1, last + 1):
            self._units[t, Phase.LOOKAHEAD] = samples[t - 1] * max(config.lookahead, 1)
            self._units[t, Phase.VOTE] = 1
            self._units[t, Phase.VARY] = samples[t]
        self._units[last, Phase.EXPORT] = samples[-1]
        self._steps: dict[tuple[int, Phase], _Step] = {}

    def record(self, event: Progress, seconds: float) -> float | None:
        """This batch took ``seconds``; returns how many the run will still take, None where that
        cannot be told: nothing was timed yet, or private images are being read."""
        if event.phase is Phase.PRIVATE:
            return None
        at, fraction = (event.generation, event.phase), event.done / max(event.total, 1)
        # a resumed run may read the features of all private images before it looks ahead
        timed = bool(self._steps) or event.phase is not Phase.LOOKAHEAD
        step = self._steps.setdefault(at, _Step(self._units.get(at, 1)))
        step.record(fraction, seconds, timed)
        if event.phase is Phase.EXPORT:  # the last step, of a run that finishes early too
            return step.left()
        pace = step.left()
        if pace is None:
            pace = step.units * (1 - fraction) * (self._cost(event.phase) or 0.0)
        here = (event.generation, _ORDER[event.phase])
        later = [
            (units, self._cost(phase))
            for (t, phase), units in self._units.items()
            if (t, _ORDER[phase]) > here
        ]
        if all(cost is None for _, cost in later) and step.left() is None:
            return None
        return pace + sum(units * (cost or 0.0) for units, cost in later)

    def _cost(self, phase: Phase) -> float | None:
        """Seconds per unit of this phase; None where nothing tells them."""
        seen = [step for (_, p), step in self._steps.items() if p is phase and step.done]
        if not seen and phase in _MAKES_IMAGES:
            seen = [s for (_, p), s in self._steps.items() if p in _MAKES_IMAGES and s.done]
        newest = seen[-self.STEPS :]
        done = sum(step.done for step in newest)
        return sum(step.seconds for step in newest) / done if done else None


class _Step:
    """One phase of one generation: the work of it that was timed."""

    def __init__(self, units: float) -> None:
        self.units = units
        self.done = self.seconds = 0.0
        self._fraction = 0.0
        self._recent: deque[tuple[float, float]] = deque()  # units and seconds of a batch

    def record(self, fraction: float, seconds: float, timed: bool) -> None:
        made = self.units * (fraction - self._fraction)
        self._fraction = fraction
        if not timed:
            return
        self.done += made
        self.seconds += seconds
        self._recent.append((made, seconds))
        while len(self._recent) > TimeLeft.RECENT_BATCHES:
            if sum(s for _, s in self._recent) <= TimeLeft.RECENT_SECONDS:
                break
            self._recent.popleft()

    def left(self) -> float | None:
        """Seconds, at the recent pace; None before any work was timed."""
        made = sum(units for units, _ in self._recent)
        if not made:
            return None
        spent = sum(seconds for _, seconds in self._recent)
        return self.units * (1 - self._fraction) * spent / made


def counted_down(seconds_left: float | None, since: float) -> float | None:
    """What is left ``since`` seconds after it was told, in steps of one second; never below 0."""
    return None if seconds_left is None else max(seconds_left - since // 1, 0.0)


class Pace:
    """How many images a run has made since it was started or resumed, and how fast it makes them.

    Only batches of images are timed, never what comes before one: reading the private images or
    voting takes the longer the more there are.
    """

    WINDOW_SECONDS = 10.0

    def __init__(self) -> None:
        self.made = 0
        self._recent: deque[tuple[float, int]] = deque()  # seconds and images of a batch
        self._since: float | None = None  # when the batch in work was begun, where that is known
        self._timed = _MAKES_IMAGES  # the phases of which the batch in work is timed

    def record(self, event: Event, now: float) -> None:
        """``event`` came at ``now``, in seconds of a clock that only goes forward."""
        made = event.made if isinstance(event, Progress) else 0
        self.made += made
        if made and self._since is not None and event.phase in self._timed:
            self._recent.append((now - self._since, made))
            while sum(seconds for seconds, _ in self._recent) > self.WINDOW_SECONDS:
                if len(self._recent) == 1:
                    break
                self._recent.popleft()
        if isinstance(event, Progress):
            self._since = now if event.phase in _MAKES_IMAGES else None
        elif isinstance(event, Notice):  # whether there is one may tell of the private images
            return
        else:
            self._since = now
        # a resumed run may read the features of all private images before it looks ahead
        self._timed = (Phase.RANDOM,) if isinstance(event, Loaded) else _MAKES_IMAGES

    @property
    def per_second(self) -> float | None:
        """Images a second over the last ``WINDOW_SECONDS`` of making some; None before that."""
        seconds = sum(seconds for seconds, _ in self._recent)
        return sum(made for _, made in self._recent) / seconds if seconds else None


def duration(seconds: float) -> str:
    """Seconds as people say them: ``8 s``, ``2 min 5 s``, ``5 min``, ``3 h 10 min``."""
    whole = round(seconds)
    if whole < 3600:
        parts = (whole // 60, "min"), (whole % 60, "s")
    else:
        parts = (whole // 3600, "h"), (whole % 3600 // 60, "min")
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
