"""The process-level queue of runs: one at a time, in the order they were asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

from pe_engine.build import continue_run
from pe_engine.config import RunConfig
from pe_engine.data import LOCAL_LIMITS, Limits
from pe_engine.ending import RunThread
from pe_engine.errors import PEError, RunError
from pe_engine.header import RUN_ID, Header, new_run_id
from pe_engine.history import History, Kept
from pe_engine.ownership import read_owner
from pe_engine.privacy.ledger import Ledger
from pe_engine.quotas import SHARED_QUOTA, Quota
from pe_engine.resting import at_rest
from pe_engine.runner import Driver, Run
from pe_engine.snapshot import Snapshot, Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder, owner_folder, remove_cut_off
from pe_engine.timing import duration

__all__ = ["SHARED_QUOTA", "JobManager", "Quota"]

SLOW_TO_LOAD = ("torch", "faiss", "opendp.prelude")
"""Seconds to load; done while the visitor still chooses, so that the first images come at once."""


TIME_IS_UP = (
    "This server lets a run work for {} at most, so it was stopped. All generations up to now are "
    "here, and it can be resumed after the others that wait."
)

MOST_FINISHING = 2
"""Runs that are released at once out of turn: each holds a generation in memory."""

NEEDS_IMAGES = (
    "This run needs its images again, which were deleted once they were read. Drop the same images "
    "again, then press Resume."
)

LEDGERS_KEPT = 64
RUNS_AT_REST = 32
"""So many runs that nobody drives are kept in memory, those that were looked at last."""


class JobManager:
    """Runs of the page, each in ``home/runs/<run id>``; safe from any thread."""

    def __init__(
        self,
        home: Path,
        limits: Limits = LOCAL_LIMITS,
        quota: Quota | None = None,
        apart: bool = False,
        keeper: str = "",
        finished: Callable[[Path], object] | None = None,
        driver: Driver = continue_run,
    ) -> None:
        """Args:
        limits: on the private data sets that are submitted.
        quota: on the runs.
        apart: each owner has a ledger of their own, ``home/accounts/<owner>/ledger.sqlite``, so
            that nobody can spend another's budget or learn what images another has.
        keeper: the owner whose ledger is none the less that of the machine, ``home/ledger.sqlite``.
        finished: is given the folder of each run that is done, in a thread of its own.
        driver: what makes the events of a run.
        """
        self._finished = finished
        self._runs_folder = owner_folder(home / "runs")
        remove_cut_off(self._runs_folder)
        self._history = History(self._runs_folder)
        self._ledger = Ledger(home)
        self._ledger_in = lru_cache(LEDGERS_KEPT)(Ledger)
        self._accounts = owner_folder(home / "accounts") if apart else None
        self._keeper = keeper
        self._limits = limits
        self._quota = quota or Quota()
        self._driver = driver
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._starting: Counter[str] = Counter()
        self._waiting: deque[Run] = deque()
        self._current: Run | None = None
        self._finishing = threading.Semaphore(MOST_FINISHING)
        self._changed = threading.Condition(threading.RLock())  # guards the five above
        self._closing = False
        self._worker = threading.Thread(target=self._work, name="runs", daemon=True)
        self._worker.start()

    def submit(
        self,
        config: RunConfig,
        source: Path,
        *,
        delete_source: bool = False,
        owner: str | None = None,
    ) -> Run:
        """Check a new run, reserve its budget and queue it.

        Args:
            source: folder or zip of private images.
            delete_source: it is an upload; it moves into the run and is deleted once read.
            owner: whose it is; see ``ownership``.

        Raises:
            PEError: with a sentence for the user; nothing was made, nothing lost.
        """
        run_id = new_run_id()
        folder = self._runs_folder / run_id
        ledger = self._ledger_of(owner)
        with self._place_for(owner):
            dataset = start_run(
                folder,
                config,
                source,
                ledger,
                run_id=run_id,
                upload=delete_source,
                limits=self._limits,
                owner=owner,
            )
            # an upload has moved since it was opened
            run = Run(folder, ledger, None if delete_source else dataset, self._driver)
            with self._changed:
                return self._enqueue(run)

    def own_ledger(self, owner: str, machines: bool) -> Ledger | None:
        """The ledger of this owner's runs; None where it is the machine's and they are not.

        Args:
            owner: "" for nobody.
            machines: they own the machine.
        """
        apart = self._accounts is not None
        return self._ledger_of(owner) if owner and (apart or machines) else None

    def exists(self, run_id: str) -> bool:
        """Whether there is such a run, without reading it."""
        return bool(RUN_ID.fullmatch(run_id)) and RunFolder(self._runs_folder / run_id).exists()

    def owner(self, run_id: str) -> str | None:
        """Whose a run is; None of one that the command line or an earlier version made."""
        return read_owner(self._runs_folder / run_id)

    def kept(self, owns: Callable[[str | None], bool]) -> list[Kept]:
        """The runs of the owners that ``owns`` is true of, newest first."""
        return [run for run in self._history.kept() if owns(run.owner)]

    def folder(self, run_id: str) -> Path:
        """Where the files of a run lie, if there is one."""
        return self._runs_folder / run_id

    def glance(self, run: Kept) -> Snapshot:
        """A run as it is now, without keeping it in memory.

        Raises:
            PEError: it was deleted meanwhile, or is damaged.
        """
        with self._changed:
            in_memory = self._runs.get(run.run_id)
        if in_memory is not None:
            return in_memory.snapshot
        store = RunFolder(self._runs_folder / run.run_id)
        header = Header.from_json(store.read_header())
        return at_rest(store, self._ledger_of_run(header, run.owner), header)

    def get(self, run_id: str) -> Run | None:
        """The run with this id, also one that an earlier server process began."""
        with self._changed:
            if run_id not in self._runs:
                if not self.exists(run_id):
                    return None
                folder = self._runs_folder / run_id
                header = Header.from_json(RunFolder(folder).read_header())
                ledger = self._ledger_of_run(header, self.owner(run_id))
                self._runs[run_id] = Run(folder, ledger, driver=self._driver)
            self._runs.move_to_end(run_id)
            self._forget_some()
            return self._runs[run_id]

    def is_busy(self) -> bool:
        """Whether a run is going or waits."""
        with self._changed:
            return any(not run.snapshot.status.ended for run in self._runs.values())

    def resume(
        self, run_id: str, source: Path | None = None, *, delete_source: bool = False
    ) -> Run:
        """Queue a stopped or failed run again.

        Args:
            source: the private images again, to be read and checked; needed by a run that kept no
                features.
            delete_source: it is an upload, as in ``submit``.

        Raises:
            RunError: no such run, or it is not one to resume, or it needs its images again and they
                are not given. Nothing was started.
        """
        with self._place_for(self.owner(run_id), new=False), self._changed:
            run = self._known(run_id)
            if run.snapshot.finishes_early:
                return self.finish_early(run_id)
            if source is None and run.snapshot.status.ended and run.snapshot.needs_images:
                raise RunError(NEEDS_IMAGES)
            self._enqueue(run)
            if source is not None:
                RunFolder(run.folder).adopt_source(source, delete_source)
        return run

    def stop(self, run_id: str) -> None:
        """Stop a run within one batch, or take it out of the queue at once.

        Raises:
            RunError: no such run.
        """
        with self._changed:
            run = self._known(run_id)
            run.stop()
            if not self._take_out(run):
                return
        run.work()

    def finish_early(self, run_id: str) -> Run:
        """Have a run make nothing more than the release of its last generation, at once: that
        needs neither its turn nor a model.

        Raises:
            RunError: no such run, or there is nothing yet to release.
        """
        with self._changed:
            run = self._known(run_id)
            run.finish_early()
            waited = self._take_out(run)
            if run.snapshot.status.ended:
                run.enqueue(0)
                waited = True
            if waited:
                run.advance(0)
                RunThread(partial(self._finish, run), run_id).start()
        return run

    def _finish(self, run: Run) -> None:
        with self._finishing:
            run.work()
        self._tell_if_done(run)

    def _tell_if_done(self, run: Run) -> None:
        if run.snapshot.status is Status.DONE and self._finished:
            threading.Thread(target=self._finished, args=(run.folder,), daemon=True).start()

    def sooner(self, run_id: str) -> None:
        """Let a run that waits change places with the one before it of the same owner, if any.

        Raises:
            RunError: no such run.
        """
        with self._changed:
            run = self._known(run_id)
            if run not in self._waiting:
                return
            place, owner = self._waiting.index(run), self.owner(run_id)
            for other in reversed(range(place)):
                if self.owner(self._waiting[other].run_id) == owner:
                    self._waiting[place], self._waiting[other] = self._waiting[other], run
                    break
            self._tell_places()

    def _take_out(self, run: Run) -> bool:
        """Whether the run waited; it does no more."""
        if run not in self._waiting:
            return False
        self._waiting.remove(run)
        self._tell_places()
        return True

    def _tell_places(self) -> None:
        ahead = self._current is not None
        for position, run in enumerate(self._waiting, start=ahead):
            run.advance(position)

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended, with all its files. What it spent stays spent.

        Raises:
            RunError: no such run, or it has not ended.
            OSError: a file could not be deleted.
        """
        with self._changed:
            run = self._known(run_id)
            if not run.snapshot.status.ended:
                raise RunError("This run is still going. Stop it first, then delete it.")
            run.ledger.close_run(run_id)
            del self._runs[run_id]
            RunFolder(run.folder).delete()

    def delete_older(self, seconds: float) -> int:
        """Delete runs at rest in whose folders nothing has changed for so long; how many."""
        oldest = time.time() - seconds
        found = [f.name for f in self._runs_folder.iterdir() if self.exists(f.name)]
        deleted = 0
        for run_id in found:
            with self._changed, suppress(OSError, PEError):
                run = self.get(run_id)
                if run and run.snapshot.status.ended and run.changed_at < oldest:
                    self.delete(run_id)
                    deleted += 1
        return deleted

    def close(self) -> None:
        """Stop the current run, which stays resumable, and the worker thread."""
        with self._changed:
            self._closing = True
            waiting, self._waiting = list(self._waiting), deque()
            for run in [self._current, *waiting]:
                if run is not None:
                    run.stop()
            self._changed.notify_all()
        self._worker.join()
        for run in waiting:
            run.work()

    def _ledger_of(self, owner: str | None) -> Ledger:
        if self._accounts is None or not owner or owner == self._keeper:
            return self._ledger
        return self._ledger_in(self._accounts / owner[:32])

    def _ledger_of_run(self, header: Header, owner: str | None) -> Ledger:
        """The one that it was begun with, which was the machine's before owners were kept apart."""
        began_here = header.ledger == self._ledger.identity
        return self._ledger if began_here else self._ledger_of(owner)

    def _known(self, run_id: str) -> Run:
        run = self.get(run_id)
        if run is None:
            raise RunError("There is no such run. It may have been deleted.")
        return run

    @contextmanager
    def _place_for(self, owner: str | None, new: bool = True) -> Iterator[None]:
        """Keep a place in the queue while a run is being checked.

        Raises:
            RunError: there is none.
        """
        whose = owner or ""
        with self._changed:
            self._check_quota(whose, new)
            self._starting[whose] += 1
        try:
            yield
        finally:
            with self._changed:
                self._starting.subtract([whose])
                self._starting += Counter()  # forgets those at 0

    def _check_quota(self, owner: str, new: bool) -> None:
        asked = {run for run in (self._current, *self._waiting) if run is not None}
        live = [run for run in asked if not run.snapshot.status.ended]
        own = sum(self.owner(run.run_id) == owner for run in live) + self._starting[owner]
        self._quota.check_live(len(live) + self._starting.total(), own)
        if new:
            self._quota.check_kept(sum(run.owner == owner for run in self._history.kept()))

    def _forget_some(self) -> None:
        """Drop from memory the runs at rest that were not looked at for the longest time."""
        at_rest = [run_id for run_id, run in self._runs.items() if run.snapshot.status.ended]
        for run_id in at_rest[: max(len(at_rest) - RUNS_AT_REST, 0)]:
            del self._runs[run_id]

    def _enqueue(self, run: Run) -> Run:
        run.enqueue(len(self._waiting) + (self._current is not None))
        self._runs[run.run_id] = run
        self._waiting.append(run)
        self._changed.notify_all()
        return run

    def _work(self) -> None:
        for library in SLOW_TO_LOAD:
            import_module(library)
        while True:
            with self._changed:
                self._current = None
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                self._current = self._waiting.popleft()
                self._tell_places()
                ended = self._current.ended
            # a thread of its own, so that a run that breaks down does not take the queue with it
            RunThread(self._current.work, self._current.run_id).start()
            # not for the thread: it may hang, and its run be given up; nor for the run's status: it
            # may be resumed at once, and wait for this very thread
            if not ended.wait(self._quota.seconds):
                self._current.stop(TIME_IS_UP.format(duration(self._quota.seconds)))
                ended.wait()
            self._tell_if_done(self._current)
