"""The process-level queue of runs: one at a time, in the order they were asked for."""

from __future__ import annotations

import threading
from collections import deque
from importlib import import_module
from pathlib import Path

from pe_engine.config import RunConfig
from pe_engine.data import LOCAL_LIMITS, Limits
from pe_engine.errors import RunError
from pe_engine.header import RUN_ID, new_run_id
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder, owner_folder

SLOW_TO_LOAD = ("torch", "faiss", "opendp.prelude")
"""Seconds to load; done while the visitor still chooses, so that the first images come at once."""


class JobManager:
    """Runs of the page, each in ``home/runs/<run id>``; safe from any thread."""

    def __init__(self, home: Path, limits: Limits = LOCAL_LIMITS) -> None:
        """``limits``: on the private data sets that are submitted."""
        self._runs_folder = owner_folder(home / "runs")
        self._ledger = Ledger(home)
        self._limits = limits
        self._runs: dict[str, Run] = {}
        self._waiting: deque[Run] = deque()
        self._current: Run | None = None
        self._changed = threading.Condition(threading.RLock())  # guards the four above
        self._closing = False
        self._worker = threading.Thread(target=self._work, name="runs", daemon=True)
        self._worker.start()

    def submit(self, config: RunConfig, source: Path, *, delete_source: bool = False) -> Run:
        """Check a new run, reserve its budget and queue it.

        Args:
            source: folder or zip of private images.
            delete_source: it is an upload; it moves into the run and is deleted once read.

        Raises:
            PEError: with a sentence for the user; nothing was made, nothing lost.
        """
        run_id = new_run_id()
        folder = self._runs_folder / run_id
        dataset = start_run(
            folder,
            config,
            source,
            self._ledger,
            run_id=run_id,
            upload=delete_source,
            limits=self._limits,
        )
        # an upload has moved since it was opened
        run = Run(folder, self._ledger, None if delete_source else dataset)
        with self._changed:
            return self._enqueue(run)

    def get(self, run_id: str) -> Run | None:
        """The run with this id, also one that an earlier server process began."""
        if not RUN_ID.fullmatch(run_id):
            return None
        with self._changed:
            if run_id not in self._runs:
                folder = self._runs_folder / run_id
                if not RunFolder(folder).exists():
                    return None
                self._runs[run_id] = Run(folder, self._ledger)
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
        with self._changed:
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
            self._ledger.close_run(run_id)
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

    def _known(self, run_id: str) -> Run:
        run = self.get(run_id)
        if run is None:
            raise RunError("There is no such run. It may have been deleted.")
        return run

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
            driver = threading.Thread(target=self._current.work, name=self._current.run_id)
            driver.start()
            driver.join()
