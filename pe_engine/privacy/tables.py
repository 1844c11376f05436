"""The ledger's tables, and the questions asked of them inside a transaction.

A row of ``releases`` is both the noisy votes of one generation and the charge for them, so neither
can exist without the other. Rows are never changed or deleted: triggers refuse it.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import astuple, dataclass

from pe_engine.errors import BudgetError, RunError
from pe_engine.privacy.accounting import Charge, composed_epsilon

SCHEMA_VERSION = 3

SCHEMA = (
    """
    CREATE TABLE datasets (
        name TEXT PRIMARY KEY, cap_epsilon REAL, cap_delta REAL, cap_adjacency TEXT, cap_unit TEXT)
    """,
    """
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        dataset TEXT NOT NULL REFERENCES datasets (name),
        noise_multiplier REAL NOT NULL CHECK (noise_multiplier > 0),
        neighbours INTEGER NOT NULL CHECK (neighbours > 0),
        generations INTEGER NOT NULL CHECK (generations > 0),
        fingerprint TEXT,
        open INTEGER NOT NULL CHECK (open IN (0, 1)),
        unit TEXT NOT NULL CHECK (unit IN ('image', 'person')),
        persons TEXT)
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
        BEFORE UPDATE OF run_id, dataset, noise_multiplier, neighbours, generations, unit ON runs
        BEGIN SELECT RAISE(ABORT, 'a plan is never changed'); END
    """,
)

# Before there were persons, every charge and every cap was for images.
FROM_VERSION_1 = (
    """
    ALTER TABLE runs ADD COLUMN
        unit TEXT NOT NULL DEFAULT 'image' CHECK (unit IN ('image', 'person'))
    """,
    "ALTER TABLE datasets ADD COLUMN cap_unit TEXT",
    "UPDATE datasets SET cap_unit = 'image' WHERE cap_epsilon IS NOT NULL",
    "DROP TRIGGER plans_are_final",
    SCHEMA[-1],
)

# Before, nothing told whether persons were the same when the images were read again.
FROM_VERSION_2 = ("ALTER TABLE runs ADD COLUMN persons TEXT",)

STEPS = {0: SCHEMA, 1: (*FROM_VERSION_1, *FROM_VERSION_2), 2: FROM_VERSION_2}
"""What brings a ledger of each earlier version up to date; 0 is an empty one."""

# All names of the same data: from one name, over shared fingerprints, as far as they lead.
SAME_DATA = """
WITH RECURSIVE same (name) AS (
    SELECT ? UNION
    SELECT other.dataset FROM same
    JOIN runs mine ON mine.dataset = same.name
    JOIN runs other ON other.fingerprint = mine.fingerprint)
"""

RUN_COUNTS = """
SELECT run_id, noise_multiplier, neighbours, unit, committed,
       CASE open WHEN 1 THEN generations - committed ELSE 0 END AS reserved
FROM (SELECT runs.*, (SELECT COUNT(*) FROM releases WHERE releases.run_id = runs.run_id)
      AS committed FROM runs)
"""


@dataclass(frozen=True)
class Cap:
    """All runs on a data set together may spend at most ε at δ, for this adjacency and unit."""

    epsilon: float
    delta: float
    adjacency: str = "add-remove"
    unit: str = "image"


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
    """One row of ``runs``; ``fingerprint`` is of the images, ``persons`` of whose they are."""

    plan: tuple[str, float, int, int, str]
    fingerprint: str | None
    persons: str | None
    is_open: bool

    @property
    def generations(self) -> int:
        return self.plan[3]


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables of an empty ledger, or bring those of an earlier version up to date.

    Raises:
        RunError: the ledger was written by a later version.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found == SCHEMA_VERSION:
        return
    if found not in STEPS:
        raise RunError(
            f"The privacy ledger has format {found}, but this version knows {SCHEMA_VERSION}. "
            "Use the version that wrote it."
        )
    for statement in STEPS[found]:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def find_run(db: sqlite3.Connection, run_id: str) -> RunRow | None:
    """The run, or None where it is unknown."""
    row = db.execute(
        "SELECT dataset, noise_multiplier, neighbours, generations, unit, fingerprint, persons, "
        "open FROM runs WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    return row and RunRow(row[:5], fingerprint=row[5], persons=row[6], is_open=bool(row[7]))


def add_run(db: sqlite3.Connection, run_id: str, plan: tuple, cap: Cap | None) -> None:
    """Register a run; a cap replaces the one of its data set."""
    db.execute("INSERT OR IGNORE INTO datasets (name) VALUES (?)", plan[:1])
    db.execute(
        "INSERT INTO runs (run_id, dataset, noise_multiplier, neighbours, generations, unit, open) "
        "VALUES (?, ?, ?, ?, ?, ?, 1)",
        (run_id, *plan),
    )
    if cap is not None:
        db.execute(
            "UPDATE datasets SET cap_epsilon = ?, cap_delta = ?, cap_adjacency = ?, cap_unit = ? "
            "WHERE name = ?",
            (*astuple(cap), plan[0]),
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
    return [run.charge(run.committed) for run in _run_counts(db, dataset) if run.committed]


def enforce_caps(db: sqlite3.Connection, run_id: str) -> None:
    """Check the caps of all names of the run's data against what is spent and reserved.

    A run that has nothing left to commit adds nothing, so it is never refused.

    Raises:
        BudgetError: a cap would be exceeded.
    """
    dataset = find_run(db, run_id).plan[0]
    counts = _run_counts(db, dataset)
    if not any(run.reserved for run in counts if run.run_id == run_id):
        return
    before = [run.charge(run.committed + run.reserved * (run.run_id != run_id)) for run in counts]
    after = [run.charge(run.committed + run.reserved) for run in counts]
    for name, cap in _caps(db, dataset):
        total = composed_epsilon(after, cap.delta, cap.adjacency, cap.unit)
        if math.isinf(total) and cap.unit == "person":
            raise BudgetError(
                f"The data set {name!r} has a cap on ε of each person, but there is a run on it in "
                "which every image votes on its own, and nothing bounds how many images a person "
                "has. Say by persons what names them in every run, or use a cap on ε of each image."
            )
        if total > cap.epsilon:
            used = composed_epsilon(before, cap.delta, cap.adjacency, cap.unit)
            raise BudgetError(
                f"The data set {name!r} may spend ε = {cap.epsilon:g} at δ = {cap.delta:g} "
                f"({cap.adjacency} of one {cap.unit}); ε = {used:.4g} is spent or reserved, and "
                f"with this run it would be ε = {total:.4g}. Lower this run's ε, end or release "
                "unfinished runs on this data, or raise the cap."
            )


def summaries(db: sqlite3.Connection) -> list[DatasetSummary]:
    """All data set names with what was spent and reserved under each."""
    names = [name for (name,) in db.execute("SELECT name FROM datasets ORDER BY name")]
    return [_summary(db, name) for name in names]


def _summary(db: sqlite3.Connection, name: str) -> DatasetSummary:
    own = [_Run(*row) for row in db.execute(f"{RUN_COUNTS} WHERE dataset = ?", (name,))]
    same = [other for (other,) in db.execute(f"{SAME_DATA} SELECT name FROM same", (name,))]
    return DatasetSummary(
        name=name,
        runs=len(own),
        generations=sum(run.committed for run in own),
        reserved=sum(run.reserved for run in own),
        cap=dict(_caps(db, name)).get(name),
        charges=tuple(committed_charges(db, name)),
        other_names=tuple(sorted(other for other in same if other != name)),
        open_runs=tuple(sorted(run.run_id for run in own if run.reserved)),
    )


@dataclass(frozen=True)
class _Run:
    """One row of ``RUN_COUNTS``: ``reserved`` are generations that it may still commit."""

    run_id: str
    noise_multiplier: float
    neighbours: int
    unit: str
    committed: int
    reserved: int

    def charge(self, generations: int) -> Charge:
        return Charge(self.noise_multiplier, self.neighbours, generations, self.unit)


def _run_counts(db: sqlite3.Connection, dataset: str) -> list[_Run]:
    """Every run on the same data."""
    rows = db.execute(
        f"{SAME_DATA} {RUN_COUNTS} WHERE dataset IN (SELECT name FROM same)", (dataset,)
    )
    return [_Run(*row) for row in rows]


def _caps(db: sqlite3.Connection, dataset: str) -> list[tuple[str, Cap]]:
    """The caps under any name of the same data."""
    rows = db.execute(
        f"{SAME_DATA} SELECT name, cap_epsilon, cap_delta, cap_adjacency, cap_unit FROM datasets "
        "WHERE name IN (SELECT name FROM same) AND cap_epsilon IS NOT NULL",
        (dataset,),
    )
    return [(name, Cap(*cap)) for name, *cap in rows]
