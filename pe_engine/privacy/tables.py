"""The ledger's tables, and the questions asked of them inside a transaction.

A row of ``releases`` is both the noisy votes of one generation and the charge for them, so neither
can exist without the other. Rows are never changed or deleted: triggers refuse it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from pe_engine.errors import BudgetError, RunError
from pe_engine.privacy.accounting import Charge, composed_epsilon

SCHEMA_VERSION = 1

SCHEMA = (
    """
    CREATE TABLE datasets (
        name TEXT PRIMARY KEY, cap_epsilon REAL, cap_delta REAL, cap_adjacency TEXT)
    """,
    """
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        dataset TEXT NOT NULL REFERENCES datasets (name),
        noise_multiplier REAL NOT NULL CHECK (noise_multiplier > 0),
        neighbours INTEGER NOT NULL CHECK (neighbours > 0),
        generations INTEGER NOT NULL CHECK (generations > 0),
        fingerprint TEXT,
        open INTEGER NOT NULL CHECK (open IN (0, 1)))
    """,
    """
    CREATE INDEX runs_of_fingerprint ON runs (fingerprint)
    """,
    """
    CREATE TABLE releases (
        run_id TEXT NOT NULL REFERENCES runs (run_id),
        generation INTEGER NOT NULL CHECK (generation > 0),
        noisy_votes BLOB NOT NULL CHECK (length(noisy_votes) % 8 = 0),
        PRIMARY KEY (run_id, generation))
    """,
    """
    CREATE TRIGGER releases_stay BEFORE DELETE ON releases
        BEGIN SELECT RAISE(ABORT, 'a charge is never deleted'); END
    """,
    """
    CREATE TRIGGER releases_are_final BEFORE UPDATE ON releases
        BEGIN SELECT RAISE(ABORT, 'a charge is never changed'); END
    """,
    """
    CREATE TRIGGER runs_stay BEFORE DELETE ON runs
        BEGIN SELECT RAISE(ABORT, 'a run is never deleted'); END
    """,
    """
    CREATE TRIGGER plans_are_final
        BEFORE UPDATE OF run_id, dataset, noise_multiplier, neighbours, generations ON runs
        BEGIN SELECT RAISE(ABORT, 'a plan is never changed'); END
    """,
)

# All names of the same data: from one name, over shared fingerprints, as far as they lead.
SAME_DATA = """
WITH RECURSIVE same (name) AS (
    SELECT ? UNION
    SELECT other.dataset FROM same
    JOIN runs mine ON mine.dataset = same.name
    JOIN runs other ON other.fingerprint = mine.fingerprint)
"""

RUN_COUNTS = """
SELECT run_id, noise_multiplier, neighbours, committed,
       CASE open WHEN 1 THEN generations - committed ELSE 0 END AS reserved
FROM (SELECT runs.*, (SELECT COUNT(*) FROM releases WHERE releases.run_id = runs.run_id)
      AS committed FROM runs)
"""


@dataclass(frozen=True)
class Cap:
    """All runs on a data set together may spend at most ε at δ, for this adjacency."""

    epsilon: float
    delta: float
    adjacency: str = "add-remove"


@dataclass(frozen=True)
class DatasetSummary:
    """One data set name in the ledger.

    Attributes:
        name: the owner's name for it.
        runs, generations, reserved: under this name: runs begun, generations committed, and
            generations that unfinished runs may still commit.
        cap: None where none was set under this name.
        charges: all committed charges on the same data, under this and the other names.
        other_names: names under which the same images were read.
        open_runs: ids of the runs that hold what is reserved.
    """

    name: str
    runs: int
    generations: int
    reserved: int
    cap: Cap | None
    charges: tuple[Charge, ...]
    other_names: tuple[str, ...]
    open_runs: tuple[str, ...]


@dataclass(frozen=True)
class RunRow:
    """One row of ``runs``."""

    plan: tuple[str, float, int, int]
    fingerprint: str | None
    is_open: bool

    @property
    def generations(self) -> int:
        return self.plan[3]


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables of an empty ledger.

    Raises:
        RunError: the ledger was written by a later version.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found == SCHEMA_VERSION:
        return
    if found != 0:
        raise RunError(
            f"The privacy ledger has format {found}, but this version knows {SCHEMA_VERSION}. "
            "Use the version that wrote it."
        )
    for statement in SCHEMA:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def find_run(db: sqlite3.Connection, run_id: str) -> RunRow | None:
    """The run, or None where it is unknown."""
    row = db.execute(
        "SELECT dataset, noise_multiplier, neighbours, generations, fingerprint, open "
        "FROM runs WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    return row and RunRow(plan=row[:4], fingerprint=row[4], is_open=bool(row[5]))


def add_run(db: sqlite3.Connection, run_id: str, plan: tuple, cap: Cap | None) -> None:
    """Register a run; a cap replaces the one of its data set."""
    db.execute("INSERT OR IGNORE INTO datasets (name) VALUES (?)", plan[:1])
    db.execute(
        "INSERT INTO runs (run_id, dataset, noise_multiplier, neighbours, generations, open) "
        "VALUES (?, ?, ?, ?, ?, 1)",
        (run_id, *plan),
    )
    if cap is not None:
        db.execute(
            "UPDATE datasets SET cap_epsilon = ?, cap_delta = ?, cap_adjacency = ? WHERE name = ?",
            (cap.epsilon, cap.delta, cap.adjacency, plan[0]),
        )


def find_votes(db: sqlite3.Connection, run_id: str, generation: int) -> bytes | None:
    """The committed noisy votes, as stored."""
    row = db.execute(
        "SELECT noisy_votes FROM releases WHERE run_id = ? AND generation = ?",
        (run_id, generation),
    ).fetchone()
    return row and row[0]


def committed_charges(db: sqlite3.Connection, dataset: str) -> list[Charge]:
    """All that was committed on the same data, one charge for each run."""
    return [Charge(sigma, k, done) for _, sigma, k, done, _ in _run_counts(db, dataset) if done]


def enforce_caps(db: sqlite3.Connection, run_id: str) -> None:
    """Check the caps of all names of the run's data against what is spent and reserved.

    A run that has nothing left to commit adds nothing, so it is never refused.

    Raises:
        BudgetError: a cap would be exceeded.
    """
    dataset = find_run(db, run_id).plan[0]
    counts = _run_counts(db, dataset)
    if not any(reserved for run, *_, reserved in counts if run == run_id):
        return
    before = [Charge(s, k, done + left * (r != run_id)) for r, s, k, done, left in counts]
    after = [Charge(s, k, done + left) for _, s, k, done, left in counts]
    for name, cap in _caps(db, dataset):
        total = composed_epsilon(after, cap.delta, cap.adjacency)
        if total > cap.epsilon:
            used = composed_epsilon(before, cap.delta, cap.adjacency)
            raise BudgetError(
                f"The data set {name!r} may spend ε = {cap.epsilon:g} at δ = {cap.delta:g} "
                f"({cap.adjacency}); ε = {used:.4g} is spent or reserved, and with this run it "
                f"would be ε = {total:.4g}. Lower this run's ε, end or release unfinished runs "
                "on this data, or raise the cap."
            )


def summaries(db: sqlite3.Connection) -> list[DatasetSummary]:
    """All data set names with what was spent and reserved under each."""
    names = [name for (name,) in db.execute("SELECT name FROM datasets ORDER BY name")]
    return [_summary(db, name) for name in names]


def _summary(db: sqlite3.Connection, name: str) -> DatasetSummary:
    own = db.execute(f"{RUN_COUNTS} WHERE dataset = ?", (name,)).fetchall()
    same = [other for (other,) in db.execute(f"{SAME_DATA} SELECT name FROM same", (name,))]
    return DatasetSummary(
        name=name,
        runs=len(own),
        generations=sum(row[3] for row in own),
        reserved=sum(row[4] for row in own),
        cap=dict(_caps(db, name)).get(name),
        charges=tuple(committed_charges(db, name)),
        other_names=tuple(sorted(other for other in same if other != name)),
        open_runs=tuple(sorted(row[0] for row in own if row[4])),
    )


def _run_counts(db: sqlite3.Connection, dataset: str) -> list[tuple[str, float, int, int, int]]:
    """(run, σ, k, committed, reserved) of every run on the same data."""
    return db.execute(
        f"{SAME_DATA} {RUN_COUNTS} WHERE dataset IN (SELECT name FROM same)", (dataset,)
    ).fetchall()


def _caps(db: sqlite3.Connection, dataset: str) -> list[tuple[str, Cap]]:
    """The caps under any name of the same data."""
    rows = db.execute(
        f"{SAME_DATA} SELECT name, cap_epsilon, cap_delta, cap_adjacency FROM datasets "
        "WHERE name IN (SELECT name FROM same) AND cap_epsilon IS NOT NULL",
        (dataset,),
    )
    return [(name, Cap(*cap)) for name, *cap in rows]
