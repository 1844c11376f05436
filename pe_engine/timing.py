"""How much longer a run will take, from the work it has done."""

from __future__ import annotations

from collections import defaultdict, deque

from pe_engine.config import RunConfig
from pe_engine.events import Event, Loaded, Notice, Phase, Progress

_ORDER = {phase: i for i, phase in enumerate(Phase)} | {Phase.PREPARE: -2, Phase.ENTER: -1}
_MAKES_IMAGES = (Phase.RANDOM, Phase.LOOKAHEAD, Phase.VARY)


class TimeLeft:
    """Learns the seconds per unit of work of each phase; a unit is an image made or written.

    Before a phase has been seen, its images are taken to cost what images have cost so far.
    Voting and reading the private images count as one unit each and are unknown until seen.
    """

    def __init__(self, config: RunConfig) -> None:
        samples, last = config.sample_schedule, config.iterations
        self._units: dict[tuple[int, Phase], float] = {(0, Phase.RANDOM): samples[0]}
        self._units[1, Phase.PRIVATE] = 1
        for t in range(1, last + 1):
            self._units[t, Phase.LOOKAHEAD] = samples[t - 1] * max(config.lookahead, 1)
            self._units[t, Phase.VOTE] = 1
            self._units[t, Phase.VARY] = samples[t]
        self._units[last, Phase.EXPORT] = samples[-1]
        self._fraction: dict[tuple[int, Phase], float] = defaultdict(float)
        self._done: dict[Phase, float] = defaultdict(float)
        self._seconds: dict[Phase, float] = defaultdict(float)

    def record(self, event: Progress, seconds: float) -> float:
        """This batch took ``seconds``; returns how many the run will still take."""
        step = (event.generation, event.phase)
        fraction = event.done / max(event.total, 1)
        units = self._units.get(step, 1)
        self._done[event.phase] += units * (fraction - self._fraction[step])
        self._seconds[event.phase] += seconds
        self._fraction[step] = fraction
        here = (event.generation, _ORDER[event.phase])
        later = sum(
            units * self._cost(phase)
            for (t, phase), units in self._units.items()
            if (t, _ORDER[phase]) > here
        )
        return units * (1 - fraction) * self._cost(event.phase) + later

    def _cost(self, phase: Phase) -> float:
        """Seconds per unit of this phase."""
        like = (phase,)
        if not self._done[phase] and phase in (*_MAKES_IMAGES, Phase.EXPORT):
            like = _MAKES_IMAGES
        done = sum(self._done[p] for p in like)
        return sum(self._seconds[p] for p in like) / done if done else 0.0


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
