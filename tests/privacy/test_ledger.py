"""The ledger: votes and charges together, no overspend, one budget for one set of images."""

import hashlib
import os
import sqlite3
import stat

import numpy as np
import pytest

from pe_engine.errors import BudgetError, ConfigError, RunError
from pe_engine.privacy.ledger import Cap, Charge, Ledger

# σ = 11.7972 costs ε = 1 at δ = 1e-5 in 10 generations; twice that costs 1.465.
PLAN = Charge(11.7972, 1, 10)
CAP = Cap(1.2, 1e-5)
DIGESTS = [hashlib.sha256(bytes([i])).digest() for i in range(4)]
VOTES = np.array([3, -1, 2**62, 0], np.int64)


def begin(ledger, run_id, dataset="data", plan=PLAN, cap=None, images=DIGESTS):
    ledger.open_run(run_id, dataset, plan, cap)
    ledger.bind_data(run_id, ledger.fingerprint(images))


def commit(ledger, run_id, *generations):
    for generation in generations:
        ledger.commit(run_id, generation, VOTES + generation)


# Votes and charges -----------------------------------------------------------------------------


def test_a_reopened_ledger_gives_back_the_same_votes_and_charges(home):
    begin(Ledger(home), "a")
    commit(Ledger(home), "a", 1, 2)
    again = Ledger(home)
    for generation in (1, 2):
        votes = again.noisy_votes("a", generation)
        assert votes.dtype == np.int64
        np.testing.assert_array_equal(votes, VOTES + generation)
    assert again.noisy_votes("a", 3) is None
    assert again.spent("data") == [Charge(11.7972, 1, 2)]
    assert again.spent("another") == []


def test_a_generation_is_committed_once_and_within_the_plan(ledger):
    begin(ledger, "a")
    commit(ledger, "a", 1)
    with pytest.raises(RunError, match="committed already"):
        ledger.commit("a", 1, VOTES)
    for outside in (0, 11):
        with pytest.raises(RunError, match="1 to 10"):
            ledger.commit("a", outside, VOTES)
    np.testing.assert_array_equal(ledger.noisy_votes("a", 1), VOTES + 1)
    assert ledger.spent("data") == [Charge(11.7972, 1, 1)]


def test_nothing_is_committed_before_images_are_bound_or_after_closing(ledger):
    ledger.open_run("a", "data", PLAN)
    with pytest.raises(RunError, match="images bound"):
        ledger.commit("a", 1, VOTES)
    begin(ledger, "a")
    ledger.close_run("a")
    with pytest.raises(RunError, match="budget reserved"):
        ledger.commit("a", 1, VOTES)
    assert ledger.spent("data") == []


@pytest.mark.parametrize("votes", [VOTES.astype(float), VOTES.astype(np.int32), VOTES[None]])
def test_votes_of_another_type_are_refused(ledger, votes):
    begin(ledger, "a")
    with pytest.raises(TypeError, match="int64"):
        ledger.commit("a", 1, votes)


def test_charges_cannot_be_changed_or_deleted_even_by_hand(ledger, home):
    begin(ledger, "a")
    commit(ledger, "a", 1)
    for statement in (
        "DELETE FROM releases",
        "UPDATE releases SET generation = 2",
        "DELETE FROM runs",
        "UPDATE runs SET noise_multiplier = 1e6",
        "UPDATE runs SET dataset = 'data'",
    ):
        db = sqlite3.connect(home / "ledger.sqlite")
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            db.execute(statement)
        db.close()


def test_closing_a_run_the_ledger_does_not_know_changes_nothing(ledger):
    ledger.close_run("b")
    assert ledger.datasets() == []


def test_unknown_runs_and_changed_plans_are_named(ledger):
    ledger.open_run("a", "data", PLAN)
    for dataset, plan in (("other", PLAN), ("data", Charge(12.0, 1, 10))):
        with pytest.raises(RunError, match="Start a new run"):
            ledger.open_run("a", dataset, plan)
    for call in (
        lambda: ledger.bind_data("b", "f"),
        lambda: ledger.commit("b", 1, VOTES),
    ):
        with pytest.raises(RunError, match="'b'"):
            call()


# Caps and reservations -------------------------------------------------------------------------


def test_a_reservation_counts_until_it_is_given_back(ledger):
    ledger.open_run("a", "data", PLAN, CAP)
    with pytest.raises(BudgetError, match=r"ε = 1\.2 at δ = 1e-05.*ε = 1 .*ε = 1\.465"):
        ledger.open_run("b", "data", PLAN)
    ledger.close_run("a")
    ledger.open_run("b", "data", PLAN)
    with pytest.raises(BudgetError):
        ledger.open_run("a", "data", PLAN)
    assert [(d.runs, d.reserved) for d in ledger.datasets()] == [(2, 10)]


def test_a_refused_run_leaves_no_trace(ledger):
    ledger.open_run("a", "data", PLAN, CAP)
    before = ledger.datasets()
    with pytest.raises(BudgetError):
        ledger.open_run("b", "data", PLAN, Cap(0.5, 1e-5))
    with pytest.raises(ConfigError):
        ledger.open_run("b", "data", PLAN, Cap(0.5, 0.5))
    assert ledger.datasets() == before


def test_a_closed_run_reserves_again_only_what_it_has_not_committed(ledger):
    begin(ledger, "a", cap=CAP)
    commit(ledger, "a", 1, 2, 3)
    ledger.close_run("a")
    assert ledger.datasets()[0].reserved == 0
    ledger.open_run("b", "data", Charge(11.7972, 1, 7))  # 3 + 7 generations: ε = 1
    with pytest.raises(BudgetError):
        ledger.open_run("a", "data", PLAN)
    ledger.close_run("b")
    ledger.open_run("a", "data", PLAN)
    ledger.open_run("a", "data", PLAN)
    assert ledger.datasets()[0].reserved == 7
    commit(ledger, "a", 4)
    assert [(d.generations, d.reserved) for d in ledger.datasets()] == [(4, 6)]


def test_a_new_run_may_raise_or_lower_the_cap_but_a_resumed_one_may_not(ledger):
    ledger.open_run("a", "data", PLAN, CAP)
    ledger.open_run("b", "data", PLAN, Cap(1.5, 1e-5))
    ledger.close_run("a")
    ledger.close_run("b")
    ledger.open_run("c", "data", PLAN, Cap(1.1, 1e-5))
    ledger.open_run("c", "data", PLAN, Cap(9.0, 1e-5))
    with pytest.raises(BudgetError, match=r"ε = 1\.1"):
        ledger.open_run("a", "data", PLAN)
    assert ledger.datasets()[0].cap == Cap(1.1, 1e-5)


def test_a_finished_run_is_opened_even_under_a_cap_that_is_used_up(ledger):
    one = Charge(11.7972, 1, 1)
    begin(ledger, "a", plan=one)
    commit(ledger, "a", 1)
    ledger.open_run("b", "data", Charge(1000.0, 1, 1), Cap(0.3, 1e-5))
    ledger.open_run("a", "data", one)


def test_the_caps_adjacency_decides(ledger):
    with pytest.raises(BudgetError, match="replace"):
        ledger.open_run("a", "data", PLAN, Cap(1.2, 1e-5, "replace"))
    ledger.open_run("a", "data", PLAN, Cap(1.5, 1e-5, "replace"))


# One set of images -----------------------------------------------------------------------------


def test_names_of_the_same_images_share_their_charges_and_caps(ledger):
    begin(ledger, "a", "first", cap=CAP)
    commit(ledger, "a", *range(1, 11))
    ledger.open_run("b", "second", PLAN)
    with pytest.raises(BudgetError, match="'first'"):
        ledger.bind_data("b", ledger.fingerprint(reversed(DIGESTS)))
    assert ledger.spent("second") == []
    ledger.close_run("b")
    small = Charge(40.0, 1, 2)
    begin(ledger, "c", "second", plan=small)
    commit(ledger, "c", 1)
    both = [PLAN, Charge(40.0, 1, 1)]
    assert sorted(ledger.spent("first"), key=lambda c: c.generations, reverse=True) == both
    assert ledger.spent("first") == ledger.spent("second")
    assert [d.other_names for d in ledger.datasets()] == [("second",), ("first",)]


def test_names_are_joined_over_a_chain_of_images(ledger):
    begin(ledger, "a", "first", images=DIGESTS[:1])
    begin(ledger, "b", "second", images=DIGESTS[:1])
    begin(ledger, "c", "second", images=DIGESTS[:2])
    begin(ledger, "d", "third", images=DIGESTS[:2])
    commit(ledger, "a", 1)
    assert ledger.spent("third") == [Charge(11.7972, 1, 1)]


def test_other_images_under_one_name_still_add_up(ledger):
    begin(ledger, "a", cap=CAP, images=DIGESTS[:1])
    with pytest.raises(BudgetError):
        begin(ledger, "b", images=DIGESTS[:2])


def test_a_run_stays_with_its_images(ledger):
    begin(ledger, "a")
    begin(ledger, "a")
    with pytest.raises(RunError, match="not the images"):
        ledger.bind_data("a", ledger.fingerprint(DIGESTS[:3]))


def test_the_fingerprint_is_keyed_and_forgets_order(ledger, home, tmp_path):
    fingerprint = ledger.fingerprint(DIGESTS)
    assert fingerprint == Ledger(home).fingerprint(reversed(DIGESTS))
    assert fingerprint != ledger.fingerprint(DIGESTS[:3])
    assert fingerprint != ledger.fingerprint([*DIGESTS, DIGESTS[0]])
    assert fingerprint != Ledger(tmp_path / "other").fingerprint(DIGESTS)
    assert fingerprint != hashlib.sha256(b"".join(sorted(DIGESTS))).hexdigest()
    with pytest.raises(ValueError, match="32 bytes"):
        ledger.fingerprint([b"short"])


# Files -----------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
def test_only_the_owner_can_read_the_ledger(ledger, home):
    begin(ledger, "a")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert sorted(path.name for path in home.iterdir()) == ["ledger.key", "ledger.sqlite"]
    for path in home.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lost_or_damaged_key_is_not_replaced(ledger, home):
    begin(ledger, "a")
    key = home / "ledger.key"
    key.write_bytes(b"half")
    with pytest.raises(RunError, match="damaged"):
        Ledger(home)
    key.unlink()
    with pytest.raises(RunError, match="missing"):
        Ledger(home)


def test_a_damaged_or_newer_ledger_is_refused(home):
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(RunError, match="cannot be used"):
        Ledger(home)
    (home / "ledger.sqlite").unlink()
    db = sqlite3.connect(home / "ledger.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(RunError, match="format 99"):
        Ledger(home)


def test_a_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(RunError, match="may write to"):
        Ledger(tmp_path / "home")
