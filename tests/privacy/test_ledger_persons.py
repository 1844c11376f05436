"""Charges for images and for persons on the same data, and ledgers older than persons."""

import math
import sqlite3

import pytest
from test_ledger import DIGESTS, VOTES

from pe_engine.errors import BudgetError, OtherImagesError, RunError
from pe_engine.privacy.accounting import composed_epsilon, epsilon_spent
from pe_engine.privacy.ledger import Cap, Charge, Ledger
from pe_engine.privacy.schema import FROM_VERSION_1

IMAGES = Charge(12.0, 1, 10)
PERSONS = Charge(12.0, 3, 10, "person")

# What version 1 of the tables was made by, and one run of it.
VERSION_1 = """
CREATE TABLE datasets (
    name TEXT PRIMARY KEY, cap_epsilon REAL, cap_delta REAL, cap_adjacency TEXT);
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    dataset TEXT NOT NULL REFERENCES datasets (name),
    noise_multiplier REAL NOT NULL CHECK (noise_multiplier > 0),
    neighbours INTEGER NOT NULL CHECK (neighbours > 0),
    generations INTEGER NOT NULL CHECK (generations > 0),
    fingerprint TEXT,
    open INTEGER NOT NULL CHECK (open IN (0, 1)));
CREATE INDEX runs_of_fingerprint ON runs (fingerprint);
CREATE TABLE releases (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    generation INTEGER NOT NULL CHECK (generation > 0),
    noisy_votes BLOB NOT NULL CHECK (length(noisy_votes) % 8 = 0),
    PRIMARY KEY (run_id, generation));
CREATE TRIGGER releases_stay BEFORE DELETE ON releases
    BEGIN SELECT RAISE(ABORT, 'a charge is never deleted'); END;
CREATE TRIGGER releases_are_final BEFORE UPDATE ON releases
    BEGIN SELECT RAISE(ABORT, 'a charge is never changed'); END;
CREATE TRIGGER runs_stay BEFORE DELETE ON runs
    BEGIN SELECT RAISE(ABORT, 'a run is never deleted'); END;
CREATE TRIGGER plans_are_final
    BEFORE UPDATE OF run_id, dataset, noise_multiplier, neighbours, generations ON runs
    BEGIN SELECT RAISE(ABORT, 'a plan is never changed'); END;
INSERT INTO datasets VALUES ('data', 1.2, 1e-5, 'add-remove'), ('free', NULL, NULL, NULL);
PRAGMA user_version = 1;
"""


@pytest.fixture
def old_home(home):
    """A ledger of version 1 in which the run 'old' has committed 4 of 10 generations."""
    fingerprint = Ledger(home).fingerprint(DIGESTS)
    (home / "ledger.sqlite").unlink()
    db = sqlite3.connect(home / "ledger.sqlite")
    db.executescript(VERSION_1)
    db.execute("INSERT INTO runs VALUES ('old', 'data', 12.0, 1, 10, ?, 1)", (fingerprint,))
    votes = [("old", t, VOTES.astype("<i8").tobytes()) for t in range(1, 5)]
    db.executemany("INSERT INTO releases VALUES (?, ?, ?)", votes)
    db.commit()
    db.close()
    return home


def run(ledger, run_id, plan, cap=None, done=0, persons=None):
    ledger.open_run(run_id, "data", plan, cap)
    ledger.bind_data(run_id, ledger.fingerprint(DIGESTS), persons)
    for generation in range(1, done + 1):
        ledger.commit(run_id, generation, VOTES)


# What a unit costs ----------------------------------------------------------------------------


@pytest.mark.parametrize("adjacency", ["add-remove", "replace"])
def test_an_image_of_a_person_moves_twice_the_persons_votes(adjacency):
    def of(unit):
        return composed_epsilon([PERSONS], 1e-5, adjacency, unit)

    assert of("person") == epsilon_spent(12.0, 1e-5, 10, 3, adjacency)
    assert of("image") == epsilon_spent(12.0, 1e-5, 10, 6, adjacency)


def test_images_on_their_own_promise_nothing_to_a_person():
    assert composed_epsilon([PERSONS, IMAGES], 1e-5, unit="person") == math.inf
    assert composed_epsilon([Charge(12.0, 1, 0)], 1e-5, unit="person") == 0.0
    both = composed_epsilon([PERSONS, IMAGES], 1e-5, unit="image")
    assert both == epsilon_spent(12.0, 1e-5, 10, 7)


# In the ledger --------------------------------------------------------------------------------


def test_a_run_keeps_its_unit(home):
    run(Ledger(home), "a", PERSONS, done=2)
    assert Ledger(home).spent("data") == [Charge(12.0, 3, 2, "person")]
    with pytest.raises(RunError, match="Start a new run"):
        Ledger(home).open_run("a", "data", Charge(12.0, 3, 10, "image"))
    db = sqlite3.connect(home / "ledger.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="a plan is never changed"):
        db.execute("UPDATE runs SET unit = 'image'")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute("INSERT INTO runs VALUES ('b', 'data', 1, 1, 1, NULL, 1, 'town', NULL)")
    db.close()


def test_a_cap_of_each_person_refuses_images_on_their_own(ledger):
    cap = Cap(50.0, 1e-5, unit="person")
    run(ledger, "a", PERSONS, cap)
    with pytest.raises(BudgetError, match=r"cap on ε of each person.*every image votes on its own"):
        ledger.open_run("b", "data", IMAGES)
    assert [entry.runs for entry in ledger.datasets()] == [1]


def test_a_cap_of_each_person_comes_too_late_after_images_on_their_own(ledger):
    run(ledger, "a", IMAGES, done=1)
    ledger.close_run("a")
    with pytest.raises(BudgetError, match="cap on ε of each person"):
        run(ledger, "b", PERSONS, Cap(50.0, 1e-5, unit="person"))
    assert ledger.datasets()[0].cap is None


def test_a_cap_of_each_image_counts_persons_twice(ledger):
    enough = epsilon_spent(12.0, 1e-5, 10, 6) * 1.0001
    with pytest.raises(BudgetError, match="of one image"):
        ledger.open_run("a", "data", PERSONS, Cap(enough / 1.001, 1e-5))
    ledger.open_run("a", "data", PERSONS, Cap(enough, 1e-5))


OTHERS = {
    "other persons": ("p", "q"),
    "persons that nobody noted": ("p", None),
    "persons that nobody noted before": (None, "p"),
    "persons that nobody ever noted": (None, None),
}


@pytest.mark.parametrize("what", OTHERS)
def test_nothing_bounds_what_is_told_of_whoever_is_one_person_for_one_run_only(ledger, what):
    one, other = OTHERS[what]
    run(ledger, "a", PERSONS, Cap(50.0, 1e-5, unit="person"), done=1, persons=one)
    ledger.close_run("a")
    ledger.open_run("b", "data", PERSONS)  # nobody knows yet who its persons are
    with pytest.raises(BudgetError, match="belonged to other persons than for this one"):
        ledger.bind_data("b", ledger.fingerprint(DIGESTS), other)
    with pytest.raises(RunError, match="no images bound"):
        ledger.commit("b", 1, VOTES)


@pytest.mark.parametrize("what", OTHERS)
def test_the_budget_of_each_person_has_no_bound_for_unlike_persons(ledger, what):
    for run_id, persons in zip("ab", OTHERS[what], strict=True):
        run(ledger, run_id, PERSONS, done=1, persons=persons)
    (entry,) = ledger.datasets()
    assert entry.epsilon(1e-5, unit="person") == math.inf
    assert entry.epsilon(1e-5) == epsilon_spent(12.0, 1e-5, 2, 6)


def test_charges_for_the_same_persons_add_up(ledger):
    enough = epsilon_spent(12.0, 1e-5, 2, 3) * 1.0001
    plan = Charge(12.0, 3, 1, "person")
    run(ledger, "a", plan, Cap(enough, 1e-5, unit="person"), done=1, persons="p")
    run(ledger, "b", plan, done=1, persons="p")
    (entry,) = ledger.datasets()
    assert entry.epsilon(1e-5, unit="person") == epsilon_spent(12.0, 1e-5, 2, 3)
    with pytest.raises(BudgetError, match=r"1e-05 \(add-remove of one person\)"):
        ledger.open_run("c", "data", plan)


def test_a_run_that_never_committed_has_told_nothing_of_its_persons(ledger):
    run(ledger, "a", PERSONS, persons="q")
    ledger.close_run("a")
    run(ledger, "b", PERSONS, Cap(50.0, 1e-5, unit="person"), done=1, persons="p")
    with pytest.raises(BudgetError, match="belonged to other persons"):
        ledger.open_run("a", "data", PERSONS)


def test_a_run_goes_on_from_one_of_the_same_persons_only(ledger):
    images = ledger.fingerprint(DIGESTS)
    run(ledger, "a", PERSONS, done=1, persons="p")
    ledger.open_run("b", "data", PERSONS)
    for persons, earlier in (("q", "a"), (None, "a"), ("p", "unknown")):
        with pytest.raises(OtherImagesError, match="the images that it was made for"):
            ledger.bind_data("b", images, persons, persons_of=earlier)
    ledger.bind_data("b", images, "p", persons_of="a")
    ledger.commit("b", 1, VOTES)


# From version 1 -------------------------------------------------------------------------------


def test_an_old_ledger_goes_on_with_its_charges_for_images(old_home):
    ledger = Ledger(old_home)
    assert ledger.spent("data") == [Charge(12.0, 1, 4, "image")]
    assert (ledger.noisy_votes("old", 4) == VOTES).all()
    data, free = ledger.datasets()
    assert data.cap == Cap(1.2, 1e-5, "add-remove", "image")
    assert (data.reserved, free.cap) == (6, None)
    run(ledger, "old", IMAGES)  # resumed, with the same images
    ledger.commit("old", 5, VOTES)
    with pytest.raises(BudgetError, match=r"may spend ε = 1\.2"):
        ledger.open_run("new", "data", PERSONS)
    assert Ledger(old_home).spent("data") == [Charge(12.0, 1, 5, "image")]


def test_an_old_ledger_is_brought_up_to_date_once_and_stays_final(old_home):
    assert Ledger(old_home).identity == Ledger(old_home).identity
    db = sqlite3.connect(old_home / "ledger.sqlite")
    assert db.execute("PRAGMA user_version").fetchone() == (3,)
    for statement in (
        "UPDATE runs SET unit = 'person'",
        "UPDATE runs SET neighbours = 2",
        "DELETE FROM runs",
        "UPDATE releases SET noisy_votes = x''",
        "DELETE FROM releases",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            db.execute(statement)
    db.close()


def test_an_update_that_is_cut_off_leaves_the_old_ledger(old_home, monkeypatch):
    from pe_engine.privacy import schema

    with monkeypatch.context() as patch:
        patch.setitem(schema.STEPS, 1, (*schema.STEPS[1], "CREATE NONSENSE"))
        with pytest.raises(RunError, match="cannot be used"):
            Ledger(old_home)
    assert Ledger(old_home).spent("data") == [Charge(12.0, 1, 4, "image")]


@pytest.mark.parametrize("version", [1, 2])
def test_an_old_ledger_has_the_same_tables_as_a_new_one(old_home, tmp_path, version):
    if version == 2:
        db = sqlite3.connect(old_home / "ledger.sqlite")
        db.executescript(";".join((*FROM_VERSION_1, "PRAGMA user_version = 2")))
        db.close()

    def columns(home):
        Ledger(home)
        db = sqlite3.connect(home / "ledger.sqlite")
        tables = [t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        triggers = db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        named = {t: sorted(row[1] for row in db.execute(f"PRAGMA table_info({t})")) for t in tables}
        db.close()
        return named, sorted(" ".join(sql.split()) for (sql,) in triggers)

    assert columns(old_home) == columns(tmp_path / "new")
