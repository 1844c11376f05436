"""The ledger's tables, and what brings those of earlier versions up to date.

Rows that were charged are never changed or deleted: triggers refuse it.
"""

from __future__ import annotations

import sqlite3

from pe_engine.errors import RunError

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
