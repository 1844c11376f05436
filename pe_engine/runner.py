"""One run in a background thread, and the immutable snapshots that viewers read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path

import numpy as np

from pe_engine.build import continue_run, reserve_budget
from pe_engine.config import RunConfig
from pe_engine.errors import PEError
from pe_engine.events import Event, GenerationReady, Notice, Phase, Progress, VotesReleased
from pe_engine.header import Header
from pe_engine.population import Population
from pe_engine.privacy.ledger import Ledger
from pe_engine.storage import RunFolder
from pe_engine.timing import TimeLeft

POPULATIONS_KEPT_IN_MEMORY = 3


class Status(str, Enum):
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Status.STOPPED, Status.DONE, Status.FAILED)


@dataclass(frozen=True)
class GenerationView:
    """A finished generation: its size, and the votes that chose its parents (from 1 on)."""

    generation: int
    num_samples: int
    has_votes: bool
    threshold: float | None
    epsilon_spent: float


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment; replaced as a whole, never changed.

    Attributes:
        version: grows by 1 with every change.
        queue_position: runs before this one; 0 when it is its turn.
        class_names, data_summary, notices: for the owner.
        noise_multiplier: σ in votes.
        generation: the one being worked on, 0..T.
        phase, phase_fraction: what is being done and how much of it, 0..1.
        seconds_left: of the whole run; None until it can be told.
        seconds_elapsed: since this start or resume.
        generations: the finished ones, in order.
        error: one sentence when the run failed.
    """

    version: int
    run_id: str
    status: Status
    queue_position: int
    config: RunConfig
    class_names: tuple[str, ...]
    data_summary: str
    noise_multiplier: float
    generation: int
    phase: Phase | None
    phase_fraction: float
    seconds_left: float | None
    seconds_elapsed: float
    generations: tuple[GenerationView, ...]
    notices: tuple[str, ...]
    error: str
    zip_ready: bool


class Run:
    """A run that exists in a folder. ``start`` (or ``work`` in a thread of one's own) drives it."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        """Read the run in ``folder``; ``exit_code`` is what a failure means to a shell.

        Raises:
            RunError: there is no run in ``folder``.
        """
        self.folder = folder
        self._store = RunFolder(folder)
        self._ledger = ledger
        self._header = Header.from_json(self._store.read_header())
        self._lock = threading.Lock()
        self.exit_code = 1
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._population = lru_cache(POPULATIONS_KEPT_IN_MEMORY)(self._store.read_population)
        self._snapshot = self._at_rest()

    @property
    def run_id(self) -> str:
        return self._header.run_id

    @property
    def zip_path(self) -> Path:
        return self._store.zip_path

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def population(self, generation: int) -> Population:
        """A finished generation, read from disk; safe from any thread."""
        return self._population(generation)

    def noisy_votes(self, generation: int) -> np.ndarray:
        """int64 ``(N,)``: the released votes that chose the parents of this generation, >= 1."""
        return self._ledger.noisy_votes(self.run_id, generation)

    # Driving ------------------------------------------------------------------------------------

    def queue(self, position: int) -> None:
        """The run waits for its turn behind ``position`` others.

        Raises:
            BudgetError: the data set's cap leaves no room for the rest of this run.
        """
        if self._snapshot.status is not Status.QUEUED:
            reserve_budget(self._header, self._ledger)
            self._stop.clear()
            self._ended.clear()
        self._publish(status=Status.QUEUED, queue_position=position, error="")

    def start(self, source: Path | None = None) -> None:
        """Begin or go on in a thread.

        Args:
            source: the private images again, for a run that kept no features.

        Raises:
            BudgetError: the data set's cap leaves no room for the rest of this run.
        """
        self.queue(0)
        self._thread = threading.Thread(target=self.work, args=(source,), name=self.run_id)
        self._thread.start()

    def stop(self) -> None:
        """Ask the run to stop; it does so within one batch and can be resumed."""
        self._stop.set()
        if not self._snapshot.status.ended:
            self._publish(status=Status.STOPPING)

    def wait(self, timeout: float | None = None) -> Snapshot:
        """The snapshot once the run has ended, or after ``timeout`` seconds."""
        self._ended.wait(timeout)
        return self._snapshot

    def work(self, source: Path | None = None) -> None:
        """Drive the queued run to its end in this thread; the outcome is in the snapshot."""
        outcome, error = (
            Status.FAILED,
            "The run broke down; the console it was started from says why.",
        )
        try:
            if not self._stop.is_set():
                self._publish(status=Status.RUNNING, queue_position=0)
                self._follow(continue_run(self._store, self._ledger, source))
            else:
                self._ledger.close_run(self.run_id)
            stopped = self._stop.is_set() and not self._store.zip_path.is_file()
            outcome, error = (Status.STOPPED if stopped else Status.DONE), ""
        except PEError as problem:
            error, self.exit_code = str(problem), problem.exit_code
        except OSError as problem:  # without the path, which may be private
            error = f"A file could not be read or written: {problem.strerror}. Mend it and resume."
        finally:
            self._publish(
                status=outcome,
                error=error,
                phase=None,
                seconds_left=None,
                zip_ready=outcome is Status.DONE,
            )
            self._ended.set()

    def _follow(self, events: Iterator[Event]) -> None:
        started = before = time.monotonic()
        time_left = TimeLeft(self._header.config)
        for event in events:
            now = time.monotonic()
            changes = {"seconds_elapsed": now - started}
            if isinstance(event, Progress):
                changes |= {
                    "generation": event.generation,
                    "phase": event.phase,
                    "phase_fraction": event.done / max(event.total, 1),
                    "seconds_left": time_left.record(event, now - before),
                }
                before = now
            elif isinstance(event, GenerationReady):
                view = self._view(event.generation, len(event.population))
                changes["generations"] = (*self._snapshot.generations, view)
            elif isinstance(event, Notice):
                changes["notices"] = (*self._snapshot.notices, event.message)
            elif isinstance(event, VotesReleased):
                changes["generation"] = event.generation
            self._publish(**changes)
            if self._stop.is_set():
                events.close()
                return

    def _publish(self, **changes: object) -> None:
        with self._lock:
            now = self._snapshot
            self._snapshot = replace(now, version=now.version + 1, **changes)

    def _at_rest(self) -> Snapshot:
        """What the folder says of a run that nobody drives."""
        header, last = self._header, self._store.last_generation()
        done = self._store.zip_path.is_file()
        return Snapshot(
            version=0,
            run_id=header.run_id,
            status=Status.DONE if done else Status.STOPPED,
            queue_position=0,
            config=header.config,
            class_names=header.class_names,
            data_summary=header.data_summary,
            noise_multiplier=header.budget.noise_multiplier,
            generation=max(last, 0),
            phase=None,
            phase_fraction=0.0,
            seconds_left=None,
            seconds_elapsed=0.0,
            generations=tuple(
                self._view(t, header.config.sample_schedule[t]) for t in range(last + 1)
            ),
            notices=(),
            error="",
            zip_ready=done,
        )

    def _view(self, generation: int, num_samples: int) -> GenerationView:
        budget = self._header.budget
        if generation == 0:
            return GenerationView(0, num_samples, False, None, 0.0)
        epsilon = budget.epsilons[generation - 1]
        return GenerationView(generation, num_samples, True, budget.threshold, epsilon)
