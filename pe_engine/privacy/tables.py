"""The questions asked of the ledger's tables (see ``schema``) inside a transaction.

A row of ``releases`` is both the noisy votes of one generation and the charge for them, so neither
can exist without the other.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from pe_engine.errors import BudgetError
from pe_engine.privacy.accounting import Charge, composed_epsilon

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
       CASE open WHEN 1 THEN generations - committed ELSE 0 END AS reserved,
       fingerprint IS NOT NULL AS bound, persons
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
        same_persons: whether whoever was one person for one of them was so for all.
        other_names: names under which the same images were read.
        open_runs: ids of the runs that hold what is reserved.
    """

    name: str
    runs: int
    generations: int
    reserved: int
    cap: Cap | None
    charges: tuple[Charge, ...]
    same_persons: bool
    other_names: tuple[str, ...]
    open_runs: tuple[str, ...]

    def epsilon(self, delta: float, adjacency: str = "add-remove", unit: str = "image") -> float:
        """ε of all charges at δ, see ``composed_epsilon``; infinite for unlike persons."""
        if unit == "person" and not self.same_persons:
            return math.inf
        return composed_epsilon(self.charges, delta, adjacency, unit)


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


def held_charges(db: sqlite3.Connection, dataset: str) -> tuple[list[Charge], bool]:
    """What was committed or is reserved on the same data, one charge for each run; and whether
    whoever was one person for one of the runs was so for all."""
    held = [run for run in _run_counts(db, dataset) if run.committed + run.reserved]
    return [run.charge(run.committed + run.reserved) for run in held], _same_persons(held)


def enforce_caps(db: sqlite3.Connection, run_id: str) -> None:
    """Check the caps of all names of the run's data against what is spent and reserved.

    A run that has nothing left to commit adds nothing, so it is never refused. One that has not
    read its images yet cannot say who its persons are: it is asked again once it has.

    Raises:
        BudgetError: a cap would be exceeded.
    """
    dataset = find_run(db, run_id).plan[0]
    counts = _run_counts(db, dataset)
    if not any(run.reserved for run in counts if run.run_id == run_id):
        return
    before = [run.charge(run.committed + run.reserved * (run.run_id != run_id)) for run in counts]
    after = [run.charge(run.committed + run.reserved) for run in counts]
    same_persons = _same_persons(run for run in counts if run.committed + run.reserved)
    for name, cap in _caps(db, dataset):
        if cap.unit == "person" and not same_persons:
            raise BudgetError(
                f"The data set {name!r} has a cap on ε of each person, but for another run on it "
                "the images belonged to other persons than for this one, or nobody noted to whom, "
                "so that nothing bounds what both tell of one. Say by persons the same as in that "
                "run, on the same images, or use a cap on ε of each image."
            )
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
    charged = [run for run in _run_counts(db, name) if run.committed]
    return DatasetSummary(
        name=name,
        runs=len(own),
        generations=sum(run.committed for run in own),
        reserved=sum(run.reserved for run in own),
        cap=dict(_caps(db, name)).get(name),
        charges=tuple(run.charge(run.committed) for run in charged),
        same_persons=_same_persons(charged),
        other_names=tuple(sorted(other for other in same if other != name)),
        open_runs=tuple(sorted(run.run_id for run in own if run.reserved)),
    )


@dataclass(frozen=True)
class _Run:
    """One row of ``RUN_COUNTS``: ``reserved`` are generations that it may still commit, ``bound``
    is whether it has read its images, and ``persons`` the fingerprint of whose they are."""

    run_id: str
    noise_multiplier: float
    neighbours: int
    unit: str
    committed: int
    reserved: int
    bound: int
    persons: str | None

    def charge(self, generations: int) -> Charge:
        return Charge(self.noise_multiplier, self.neighbours, generations, self.unit)


def _same_persons(runs: Iterable[_Run]) -> bool:
    """Whether the images belong to the same persons for all runs that protect persons.

    Else whoever is one person for one run may be any number of persons for another one. Unknown
    persons are nobody's.
    """
    persons = [run.persons for run in runs if run.unit == "person" and run.bound]
    return len(persons) <= 1 or (None not in persons and len(set(persons)) == 1)


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
