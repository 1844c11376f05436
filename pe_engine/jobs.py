"""The process-level queue of runs: one at a time, in the order they were asked for."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pe_engine.config import RunConfig
from pe_engine.data import LOCAL_LIMITS, Limits
from pe_engine.ending import RunThread
from pe_engine.errors import RunError
from pe_engine.header import RUN_ID, new_run_id
from pe_engine.ownership import read_owner
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder, owner_folder, remove_cut_off

SLOW_TO_LOAD = ("torch", "faiss", "opendp.prelude")
"""Seconds to load; done while the visitor still chooses, so that the first images come at once."""


RUNS_AT_REST = 32
"""So many runs that nobody drives are kept in memory, those that were looked at last."""


@dataclass(frozen=True)
class Quota:
    """How many runs there may be.

    Attributes:
        waiting: runs before a new one, the current one included.
        live: of one owner, waiting or running.
        kept: of one owner, in all.
    """

    waiting: int = 1000
    live: int = 1000
    kept: int = 100_000


SHARED_QUOTA = Quota(waiting=16, live=2, kept=50)


class JobManager:
    """Runs of the page, each in ``home/runs/<run id>``; safe from any thread."""

    def __init__(
        self,
        home: Path,
        limits: Limits = LOCAL_LIMITS,
        quota: Quota | None = None,
        apart: bool = False,
    ) -> None:
        """Args:
        limits: on the private data sets that are submitted.
        quota: on the runs.
        apart: each owner has a ledger of their own, ``home/accounts/<owner>/ledger.sqlite``, so
            that nobody can spend another's budget or learn what images another has.
        """
        self._runs_folder = owner_folder(home / "runs")
        remove_cut_off(self._runs_folder)
        self._ledger = Ledger(home)
        self._accounts = owner_folder(home / "accounts") if apart else None
        self._limits = limits
        self._quota = quota or Quota()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._starting: Counter[str] = Counter()
        self._waiting: deque[Run] = deque()
        self._current: Run | None = None
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
            run = Run(folder, ledger, None if delete_source else dataset)
            with self._changed:
                return self._enqueue(run)

    def exists(self, run_id: str) -> bool:
        """Whether there is such a run, without reading it."""
        return bool(RUN_ID.fullmatch(run_id)) and RunFolder(self._runs_folder / run_id).exists()

    def owner(self, run_id: str) -> str | None:
        """Whose a run is; None of one that the command line or an earlier version made."""
        return read_owner(self._runs_folder / run_id)

    def get(self, run_id: str) -> Run | None:
        """The run with this id, also one that an earlier server process began."""
        with self._changed:
            if run_id not in self._runs:
                if not self.exists(run_id):
                    return None
                ledger = self._ledger_of(self.owner(run_id))
                self._runs[run_id] = Run(self._runs_folder / run_id, ledger)
            self._runs.move_to_end(run_id)
            self._forget_some()
            return self._runs[run_id]

    def resume(
        self, run_id: str, source: Path | None = None, *, delete_source: bool = False
    ) -> Run:
        """Queue a stopped or failed run again.

        Args:
            source: the private images again, to be read and checked; needed by a run that kept no
                features.
            delete_source: it is an upload, as in ``submit``.

        Raises:
            RunError: no such run, or it is not one to resume.
        """
        with self._place_for(self.owner(run_id), new=False), self._changed:
            run = self._enqueue(self._known(run_id))
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
            if run not in self._waiting:
                return
            self._waiting.remove(run)
        run.work()

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
            self._ledger_of(self.owner(run_id)).close_run(run_id)
            del self._runs[run_id]
            RunFolder(run.folder).delete()

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
        if self._accounts is None or not owner:
            return self._ledger
        return Ledger(self._accounts / owner[:32])

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
        quota = self._quota
        asked = {run for run in (self._current, *self._waiting) if run is not None}
        live = [run for run in asked if not run.snapshot.status.ended]
        if len(live) + self._starting.total() >= quota.waiting:
            raise RunError(
                f"{len(live)} runs are waiting already, the most this server takes. Try again when "
                "one of them has ended."
            )
        own = sum(self.owner(run.run_id) == owner for run in live) + self._starting[owner]
        if own >= quota.live:
            raise RunError(
                f"You have {own} runs waiting or running, the most this server takes of one "
                "person. Stop one, or wait until it ends."
            )
        if new and self._kept_by(owner, quota.kept):
            raise RunError(
                f"You have {quota.kept} runs here, the most this server keeps for one person. "
                "Download and delete one first."
            )

    def _kept_by(self, owner: str, most: int) -> bool:
        """Whether so many runs are this owner's."""
        folders = [folder for folder in self._runs_folder.iterdir() if self.exists(folder.name)]
        return len(folders) >= most and sum(read_owner(f) == owner for f in folders) >= most

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
                for position, run in enumerate(self._waiting, start=1):
                    run.advance(position)
            # a thread of its own, so that a run that breaks down does not take the queue with it
            RunThread(self._current.work, self._current.run_id).start()
            self._current.wait()  # not for the thread: it may hang, and its run be given up
