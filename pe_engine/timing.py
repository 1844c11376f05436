"""How much longer a run will take, from the work it has done."""

from __future__ import annotations

from collections import defaultdict

from pe_engine.config import RunConfig
from pe_engine.events import Phase, Progress

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


def duration(seconds: float) -> str:
    """Seconds as people say them: ``8 s``, ``2 min 5 s``, ``3 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
