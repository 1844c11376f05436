"""What was spent on each private data set: committed noisy votes, reservations and caps.

A data set is known by the name its owner gave it and, once its images were read, by a keyed
fingerprint. Names that share a fingerprint are the same data: what was spent under one counts for
all. A plain hash would let anyone who guesses the images confirm the guess; the key stays beside
the ledger, in a file only its owner can read.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np

from pe_engine.errors import OtherImagesError, RunError
from pe_engine.files import atomic_write, owner_folder
from pe_engine.privacy import schema, tables
from pe_engine.privacy.accounting import Charge
from pe_engine.privacy.tables import Cap, DatasetSummary, RunRow

__all__ = ["Cap", "Charge", "DatasetSummary", "Ledger"]

BUSY_SECONDS = 60.0
KEY_BYTES = 32
STORED = np.dtype("<i8")


class Ledger:
    """The ledger in the folder ``home``; safe to use from several threads and processes.

    Every method is one transaction, on disk when it returns: after a crash it has happened
    completely or not at all.

    Args:
        home: made with mode 0700 if missing; holds ``ledger.sqlite`` and ``ledger.key`` (0600).

    Raises (all methods):
        RunError: the ledger cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "ledger.sqlite"
        key_path = home / "ledger.key"
        try:
            owner_folder(home)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with self._transaction() as db:
                schema.create_tables(db)
                self._key = _read_or_make_key(db, key_path)
        except OSError as error:
            raise RunError(
                f"The privacy ledger in {home} cannot be used: {error.strerror}. Give a folder "
                "that you may write to."
            ) from error

    def fingerprint(self, digests: Iterable[bytes]) -> str:
        """HMAC-SHA256 (hex) of the files' SHA-256 digests; their order does not matter."""
        mac = hmac.new(self._key, digestmod="sha256")
        for digest in sorted(digests):
            if len(digest) != 32:
                raise ValueError(f"a SHA-256 digest has 32 bytes, got {len(digest)}")
            mac.update(digest)
        return mac.hexdigest()

    def persons_fingerprint(self, digests: Sequence[bytes], person_ids: Sequence[int]) -> str:
        """The same for the same files shared out among persons alike, whatever these are called.

        Args:
            digests: SHA-256 of the files, M of them, in any order.
            person_ids: M, equal for files of the same person.
        """
        files: defaultdict[int, list[bytes]] = defaultdict(list)
        for digest, person in zip(digests, person_ids, strict=True):
            files[person].append(digest)
        return self.fingerprint(bytes.fromhex(self.fingerprint(own)) for own in files.values())

    @property
    def home(self) -> Path:
        """The folder that it lies in."""
        return self._path.parent

    @property
    def identity(self) -> str:
        """32 hex characters that tell this ledger from every other; a run belongs to one."""
        return hmac.new(self._key, b"identity of the ledger", "sha256").hexdigest()[:32]

    def open_run(
        self, run_id: str, dataset_name: str, charge_plan: Charge, cap: Cap | None = None
    ) -> None:
        """Register a run and reserve what its plan has not committed yet.

        Opening a known run again is how it is resumed. A cap given with a new run replaces the one
        stored for its data set; without one the stored cap holds.

        Raises:
            BudgetError: a cap leaves no room for the plan; the ledger is as it was.
            RunError: the run is known with another plan or data set name.
        """
        plan = (dataset_name, *astuple(charge_plan))
        with self._transaction() as db:
            known = tables.find_run(db, run_id)
            if known is None:
                tables.add_run(db, run_id, plan, cap)
            elif known.plan != plan:
                raise RunError(
                    f"The run {run_id} was planned as (data set, σ, votes, generations, unit) = "
                    f"{known.plan}, not {plan}. Start a new run for new settings."
                )
            db.execute("UPDATE runs SET open = 1 WHERE run_id = ?", (run_id,))
            tables.enforce_caps(db, run_id)

    def bind_data(
        self,
        run_id: str,
        fingerprint: str,
        persons: str | None = None,
        *,
        persons_of: str = "",
    ) -> None:
        """Note which images the run has read; nothing may be committed before.

        Args:
            fingerprint: of the images, see ``fingerprint``.
            persons: of whose they are, see ``persons_fingerprint``; None where nobody asks.
            persons_of: a run that they must have belonged to the same persons for; "" for none.

        Raises:
            OtherImagesError: the run began with other images, or they were other persons' then or
                for ``persons_of``, or the ledger does not know for whom.
            BudgetError: with what was spent on these images under other names, a cap leaves no
                room for this run.
        """
        with self._transaction() as db:
            run = _known(db, run_id)
            known = run.fingerprint
            if known is not None and not hmac.compare_digest(known, fingerprint):
                raise OtherImagesError(
                    f"These are not the images that the run {run_id} began with. Give the same "
                    "images again, or start a new run."
                )
            if run.persons is not None and run.persons != persons:
                raise OtherImagesError(
                    f"These are the images that the run {run_id} began with, but they belong to "
                    "other persons than then, and nobody could be promised anything. Give folders "
                    "and files the names that they had, or start a new run."
                )
            earlier = tables.find_run(db, persons_of) if persons_of else None
            if persons_of and (persons is None or earlier is None or earlier.persons != persons):
                raise OtherImagesError(
                    "The run to start from was made for other images or other persons than these, "
                    "or with another ledger, so that nobody could be promised anything. Give the "
                    "images that it was made for, or delete this run and start one from none."
                )
            if known is None:  # who the persons were when something was committed stays as it is
                db.execute(
                    "UPDATE runs SET fingerprint = ?, persons = ? WHERE run_id = ?",
                    (fingerprint, persons, run_id),
                )
                tables.enforce_caps(db, run_id)

    def commit(self, run_id: str, generation: int, noisy_votes: np.ndarray) -> None:
        """Record the noisy votes of a generation and, by that, the charge for them.

        Args:
            generation: 1..T of the run's plan.
            noisy_votes: int64 ``(N,)``.

        Raises:
            RunError: the generation is not in the plan or is committed already, or the run is
                closed or has not said which images it read.
        """
        if noisy_votes.dtype != np.int64 or noisy_votes.ndim != 1:
            raise TypeError(
                f"noisy votes must be int64 (N,), got {noisy_votes.dtype} {noisy_votes.shape}"
            )
        votes = noisy_votes.astype(STORED).tobytes()
        with self._transaction() as db:
            run = _known(db, run_id)
            if not 1 <= generation <= run.generations:
                raise RunError(
                    f"The run {run_id} has no generation {generation}; it planned 1 to "
                    f"{run.generations}. Start a new run for more."
                )
            if not run.is_open or run.fingerprint is None:
                raise RunError(
                    f"The run {run_id} has no budget reserved or no images bound. Resume it first."
                )
            if tables.find_votes(db, run_id, generation) is not None:
                raise RunError(
                    f"Generation {generation} of the run {run_id} is committed already. Use its "
                    "committed noisy votes; drawing again would spend its budget twice."
                )
            db.execute("INSERT INTO releases VALUES (?, ?, ?)", (run_id, generation, votes))

    def noisy_votes(self, run_id: str, generation: int) -> np.ndarray | None:
        """The committed noisy votes, int64 ``(N,)``; None where nothing was committed."""
        with self._transaction("BEGIN") as db:
            votes = tables.find_votes(db, run_id, generation)
        return None if votes is None else np.frombuffer(votes, STORED).astype(np.int64)

    def close_run(self, run_id: str) -> None:
        """Give back what the run reserved and did not commit; ``open_run`` reserves it again.

        A run that the ledger does not know has reserved nothing.
        """
        with self._transaction() as db:
            db.execute("UPDATE runs SET open = 0 WHERE run_id = ?", (run_id,))

    def spent(self, dataset_name: str) -> list[Charge]:
        """Everything committed on this data, under all its names, one charge for each run."""
        with self._transaction("BEGIN") as db:
            return tables.committed_charges(db, dataset_name)

    def held(self, dataset_name: str) -> tuple[list[Charge], bool]:
        """Everything committed or reserved on this data, under all its names, one charge for each
        run; and whether whoever was one person for one of the runs was so for all."""
        with self._transaction("BEGIN") as db:
            return tables.held_charges(db, dataset_name)

    def datasets(self) -> list[DatasetSummary]:
        """All data sets by name."""
        with self._transaction("BEGIN") as db:
            return tables.summaries(db)

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """A connection of its own in one transaction; leaving by an error takes everything back.

        IMMEDIATE takes the write lock at once, so that no other process can spend between a check
        and what was checked for. EXTRA also syncs the folder: once committed, a power cut cannot
        bring the old state back.
        """
        try:
            with closing(
                sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            ) as db:
                db.execute("PRAGMA synchronous = EXTRA")
                db.execute("PRAGMA fullfsync = ON")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute(begin)
                yield db
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise RunError(
                f"The privacy ledger in {self._path.parent} cannot be used: {error}. Free disk "
                "space or close what holds it, then resume."
            ) from error


def _known(db: sqlite3.Connection, run_id: str) -> RunRow:
    run = tables.find_run(db, run_id)
    if run is None:
        raise RunError(f"The privacy ledger knows no run {run_id!r}. Check the run's id.")
    return run


def _read_or_make_key(db: sqlite3.Connection, path: Path) -> bytes:
    """The HMAC key; made once, under the ledger's write lock that ``db`` holds."""
    if path.exists():
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise RunError(
                f"The ledger's key {path} is damaged: it has {len(key)} bytes, not {KEY_BYTES}. "
                "Put back a copy of it."
            )
        return key
    if db.execute("SELECT 1 FROM runs WHERE fingerprint IS NOT NULL").fetchone():
        raise RunError(
            f"The ledger's key {path} is missing, so known images could not be recognised. Put "
            "back a copy of it, or set the whole folder aside."
        )
    key = secrets.token_bytes(KEY_BYTES)
    with atomic_write(path) as file:
        file.write(key)
    return key
