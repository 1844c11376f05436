"""One run in a background thread, and the immutable snapshots that viewers read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from contextvars import Context, copy_context
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from pe_engine.boundary import Outgoing
from pe_engine.build import continue_run
from pe_engine.components import chosen, is_out_of_memory
from pe_engine.data import PrivateDataset
from pe_engine.ending import RunThread
from pe_engine.errors import Interrupted, PEError, RunError
from pe_engine.events import Event, GenerationReady, Loaded, Notice, Progress, VotesReleased
from pe_engine.generations import Generations
from pe_engine.header import Header
from pe_engine.lease import Lease
from pe_engine.population import Population
from pe_engine.previews import Previews
from pe_engine.privacy.ledger import Ledger
from pe_engine.releasing import gather
from pe_engine.resting import at_rest, generation_view, needs_images
from pe_engine.snapshot import Snapshot, Status
from pe_engine.storage import RunFolder
from pe_engine.timing import Pace, TimeLeft, counted_down

GRACE_SECONDS = 3.0
"""How long a run that is to stop may take to answer before it is given up, when nobody charges."""

GIVEN_UP = (
    "The generator or the embedder did not come back from a call when the run was to stop, so the "
    "run was given up. It can be resumed once that call has come back, or after a restart of this "
    "program."
)

OUT_OF_MEMORY = (
    "The memory of the GPU is too small for this run. Close other programs that use the GPU and "
    "resume, or start a run with fewer samples, smaller images or the device cpu."
)


class Driver(Protocol):
    """Makes the events of a run, as ``build.continue_run`` does."""

    def __call__(
        self,
        folder: RunFolder,
        ledger: Ledger,
        dataset: PrivateDataset | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]: ...


class Run:
    """A run that exists in a folder. ``start`` (or ``work`` in a thread of one's own) drives it."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        dataset: PrivateDataset | None = None,
        driver: Driver = continue_run,
    ) -> None:
        """Read the run in ``folder``; ``exit_code`` is what a failure means to a shell.

        Args:
            dataset: what ``starting.start_run`` found, to spare finding it again.
            driver: what makes its events.

        Raises:
            RunError: there is no run in ``folder``.
        """
        self.folder = folder
        self._store = RunFolder(folder)
        self._ledger = ledger
        self._dataset = dataset
        self._driver = driver
        self._context = Context()  # of whoever asked for the run
        self._header = Header.from_json(self._store.read_header())
        self._lock = threading.RLock()
        self.exit_code = 1
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._lease: Lease | None = None  # of the thread that drives the run, given up or not
        self.generations = Generations(self._store, ledger, self._header.run_id)
        self._previews = Previews()
        self._snapshot = at_rest(self._store, ledger, self._header)
        self._timed_at = 0.0  # when the seconds of the snapshot were told

    @property
    def run_id(self) -> str:
        return self._header.run_id

    @property
    def ledger(self) -> Ledger:
        """What its votes are committed to."""
        return self._ledger

    @property
    def zip_path(self) -> Path:
        return self._store.zip_path

    @property
    def changed_at(self) -> float:
        """When a generation or the result was last written, in seconds since 1970."""
        return max(p.stat().st_mtime for p in (self.folder, self.folder / "generations"))

    @property
    def snapshot(self) -> Snapshot:
        """The state of the run; its seconds go on between two batches."""
        # without the lock: who waits for the end must not be held up until a resume
        now, since = self._snapshot, time.monotonic() - self._timed_at
        if now.seconds_left is None:
            return now
        elapsed = now.seconds_elapsed + since // 1
        left = counted_down(now.seconds_left, since)
        return replace(now, seconds_elapsed=elapsed, seconds_left=left)

    def population(self, generation: int) -> Population:
        """A finished generation, read from disk; safe from any thread."""
        return self.generations.population(generation)

    def outgoing(self, generation: int | None = None) -> Outgoing:
        """What may leave, with the images of one finished generation; by default of the newest.

        Raises:
            RunError: that generation is not finished, or the ledger does not know the run.
        """
        return gather(self._header, self._store, self._ledger, generation, read=self.population)

    def noisy_votes(self, generation: int) -> np.ndarray | None:
        """int64 ``(N,)``: the released votes that chose the parents of this generation, >= 1."""
        return self.generations.noisy_votes(generation)

    def preview(self) -> np.ndarray | None:
        """Small pictures of what is being made: see ``Previews.strip``."""
        return self._previews.strip()

    # Driving ------------------------------------------------------------------------------------

    def enqueue(self, position: int) -> None:
        """The run at rest is to be driven once ``position`` others have been.

        Raises:
            RunError: it is waiting or running already, or done; or it was given up, and its thread
                still hangs.
        """
        with self._lock:
            self._check_not_given_up()
            if self._snapshot.status not in (Status.STOPPED, Status.FAILED):
                raise RunError(
                    f"This run is {self._snapshot.status.value}; there is nothing to resume."
                )
            self._stop.clear()
            self._ended = threading.Event()  # whoever waits for the last end has it, none the less
            self._context = copy_context()  # where a lent GPU finds whose quota it is to use
            self._publish(status=Status.QUEUED, queue_position=position, error="")

    def advance(self, position: int) -> None:
        """``position`` runs are still before this one."""
        self._publish(queue_position=position)

    def _check_not_given_up(self) -> None:
        if self._lease is not None and self._lease.given_up.is_set():
            raise RunError(GIVEN_UP)

    def _check_can_finish(self) -> None:
        if self._snapshot.status is Status.DONE:
            raise RunError("This run is done already.")
        if self._store.last_generation() < 1:
            raise RunError(
                "No images have voted in this run yet, so there is nothing to keep. Wait until "
                "generation 1 is finished, or stop the run."
            )

    def finish_early(self) -> None:
        """Have it make nothing more than the release of its last generation, whatever happens
        meanwhile; if it works, it stops for that within one batch.

        Raises:
            RunError: there is nothing yet to release, or it is released already; or it was given
                up, or another process drives it.
        """
        with self._lock:
            self._check_not_given_up()
            self._check_can_finish()
            with nullcontext() if self._lease else self._store.locked():
                self._store.finish_early()
            self._publish(finishes_early=True, needs_images=False, seconds_left=None)
            if self._snapshot.status is not Status.QUEUED:
                self.stop()

    def start(self) -> None:
        """Begin or go on in a thread of its own; the outcome is in the snapshot."""
        self.enqueue(0)
        RunThread(self.work, self.run_id).start()

    def stop(self, said: str = "") -> None:
        """Ask the run to stop; it does so within one batch, or is given up, and can be resumed.

        Args:
            said: to its viewers, why it stops.
        """
        with self._lock:
            self._stop.set()
            if self._snapshot.status.ended:
                return
            notices = (*self._snapshot.notices, said) if said else self._snapshot.notices
            self._publish(status=Status.STOPPING, notices=notices, seconds_left=None)
            if self._lease is not None:
                timer = threading.Timer(self._grace, self._give_up, [self._lease])
                timer.daemon = True
                timer.start()

    def give_up(self) -> None:
        """End the run without waiting for its thread, which can do nothing from now on."""
        with self._lock:
            self._stop.set()
            lease = self._lease
        if lease is not None:
            self._give_up(lease)

    def _give_up(self, lease: Lease) -> None:
        with self._lock:
            if lease is not self._lease or self._snapshot.status.ended:
                return  # it has stopped by itself
            lease.given_up.set()
            self._rest(Status.STOPPED, GIVEN_UP)
            ended = self._ended
        try:
            self._ledger.close_run(self.run_id)  # from now on it takes no votes of this run
        except RunError as error:
            self._publish(error=f"{GIVEN_UP} {error}")
        ended.set()

    @property
    def ended(self) -> threading.Event:
        """Set once the run has ended that is driven or waits now; a resumed one has another."""
        return self._ended

    def wait(self, timeout: float | None = None) -> Snapshot:
        """The snapshot once the run has ended, or after ``timeout`` seconds."""
        self._ended.wait(timeout)
        return self._snapshot

    def work(self) -> None:
        """Drive the queued run to its end in this thread; the outcome is in the snapshot."""
        self._context.run(self._work)
        self._context = Context()

    def _work(self) -> None:
        outcome = Status.FAILED
        error = "The run broke down; the console that it was started from says why."
        lease, started = Lease(self.folder), time.monotonic()
        try:
            if self._begins(lease):
                self._drive(lease, started)
            else:
                self._ledger.close_run(self.run_id)
            if self._stopped_to_finish(lease):
                lease = Lease(self.folder)  # the old one's time to stop is over soon
                if self._begins(lease):
                    self._drive(lease, started)
            outcome = self._outcome()
            error = ""
        except Interrupted:  # after it was given up
            error = ""
        except PEError as problem:
            error, self.exit_code = str(problem), problem.exit_code
        except RuntimeError as problem:  # where neither a generator nor an embedder has caught it
            if not is_out_of_memory(problem):
                raise
            error, self.exit_code = OUT_OF_MEMORY, PEError.exit_code
        except OSError as problem:  # without the path, which may be private
            error = f"A file could not be read or written: {problem.strerror}. Mend it and resume."
            self.exit_code = PEError.exit_code
        finally:
            self._dataset = None
            with self._lock:
                self._lease = None
                if lease.given_up.is_set():  # its call has come back at last: it can be resumed
                    self._rest(self._outcome(), "")
                else:
                    self._rest(outcome, error)
                    self._ended.set()

    def _drive(self, lease: Lease, started: float) -> None:
        events = self._driver(lease, self._ledger, self._dataset, self._stop)
        self._follow(events, lease, started)

    def _stopped_to_finish(self, lease: Lease) -> bool:
        """Whether the run has stopped so that what is there can be released."""
        with self._lock:
            stopped = self._stop.is_set() and not lease.given_up.is_set()
            if not stopped or not self._snapshot.finishes_early or self.zip_path.is_file():
                return False
            self._stop.clear()
            self._lease = None  # or the stop, its time being over, would give up what comes next
            return True

    def _outcome(self) -> Status:
        return Status.DONE if self.zip_path.is_file() else Status.STOPPED

    def _begins(self, lease: Lease) -> bool:
        """Say that the run is running, unless it was stopped before."""
        config = self._header.config
        with self._lock:
            if self._stop.is_set():
                return False
            self._lease = lease
            kind, options = chosen(config.generator, config.generator_options)
            self._grace = GRACE_SECONDS + kind.paid_seconds(options)
            loading = not self._snapshot.finishes_early
            self._publish(
                status=Status.RUNNING,
                queue_position=0,
                loading=loading,
                phase=None,
                seconds_left=None,
            )
            return True

    def _rest(self, status: Status, error: str) -> None:
        """Say that nothing is being done any more."""
        done = status is Status.DONE
        self._publish(
            status=status,
            error=error,
            phase=None,
            phase_fraction=0.0,
            loading=False,
            seconds_left=None,
            zip_ready=done,
            needs_images=not done and self._needs_images(),
            preview=None,
        )

    def _needs_images(self) -> bool:
        return needs_images(self._store, self._header.config.iterations)

    def _follow(self, events: Iterator[Event], lease: Lease, started: float) -> None:
        before = time.monotonic()
        time_left, pace = TimeLeft(self._header.config), Pace()
        previews = self._previews = Previews()
        for event in events:
            now = time.monotonic()
            pace.record(event, now)
            changes = {
                "seconds_elapsed": now - started,
                "seconds_left": self.snapshot.seconds_left,
            }
            if isinstance(event, Loaded):
                changes["loading"] = False
                before = now  # loading says nothing about how long images take
            elif isinstance(event, Progress):
                previews.record(event, now)
                changes |= {
                    "preview": previews.newest,
                    "images_made": pace.made,
                    "images_per_second": pace.per_second,
                    "generation": event.generation,
                    "phase": event.phase,
                    "phase_fraction": event.done / max(event.total, 1),
                    "seconds_left": time_left.record(event, now - before),
                }
                before = now
            elif isinstance(event, GenerationReady):
                view = generation_view(self._header, event.generation, len(event.population))
                changes["generations"] = (*self._snapshot.generations, view)
                changes["needs_images"] = self._needs_images()
            elif isinstance(event, Notice):
                kind = "owner_notices" if event.private else "notices"
                # a resumed run may find the same once more
                told = getattr(self._snapshot, kind)
                changes[kind] = tuple(dict.fromkeys((*told, event.message)))
            elif isinstance(event, VotesReleased):
                changes["generation"] = event.generation
                changes["epsilon_spent"] = event.epsilon_spent
                changes["needs_images"] = self._needs_images()
            with self._lock:
                if not lease.given_up.is_set():
                    self._timed_at = now
                    self._publish(**changes)
            if self._stop.is_set():
                events.close()
                return

    def _publish(self, **changes: object) -> None:
        with self._lock:
            now = self._snapshot
            self._snapshot = replace(now, version=now.version + 1, **changes)
