"""Whose runs are, how many there may be, and how many are kept in memory."""

import shutil
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pe_engine import jobs
from pe_engine.data import LOCAL_LIMITS, Limits
from pe_engine.errors import BudgetError, DataError, RunError
from pe_engine.jobs import JobManager, Quota
from pe_engine.ownership import NOBODY, read_owner, write_owner
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run, Status
from tests.conftest import png

ME, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def quick(config):
    return replace(config, iterations=1, lookahead=0)


@pytest.fixture
def long(config):
    return replace(config, iterations=50, num_samples=(300,))


def manager(home, apart=False, **quota):
    return JobManager(home, quota=Quota(**quota), apart=apart)


def test_who_owns_a_run_is_kept_through_a_restart(home, quick, digits):
    first = manager(home)
    owned, free = (first.submit(quick, digits, owner=owner) for owner in (ME, None))
    for run in (owned, free):
        run.wait(60)
    first.close()
    second = manager(home)
    assert second.owner(owned.run_id) == ME
    assert second.owner(free.run_id) is None
    assert second.exists(owned.run_id) and not second.exists("0" * 32)
    assert not second.exists("../runs")
    second.close()


def test_each_run_that_is_done_is_told_of_and_no_other(home, quick, long, digits):
    told, heard = [], threading.Event()
    queue = JobManager(home, finished=lambda folder: (told.append(folder), heard.set()))
    stopped = queue.submit(long, digits)
    queue.stop(stopped.run_id)
    stopped.wait(60)
    done = queue.submit(quick, digits)
    assert heard.wait(60)
    queue.close()
    assert told == [done.folder] and (told[0] / "synthetic.zip").is_file()


def test_a_run_has_its_owner_as_soon_as_it_is_there(home, quick, digits, monkeypatch):
    """So that a crash at any moment leaves none that would be a local page's."""
    queue, rename, seen = manager(home), Path.rename, []

    def renamed(self, place):
        seen.append(read_owner(self)) if (self / "run.json").exists() else None
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", renamed)
    queue.submit(quick, digits, owner=ME).wait(60)
    queue.close()
    assert seen == [ME]


def test_the_limits_on_private_images_hold_whenever_they_are_opened(home, long, tmp_path, digits):
    """An upload has moved since it was checked, and what is given again is new."""
    shared = JobManager(home, limits=Limits(members=100))
    upload = tmp_path / "upload.zip"
    shutil.copy(digits, upload)
    run = shared.submit(long, upload, delete_source=True)
    while run.snapshot.epsilon_spent == 0 and not run.snapshot.status.ended:
        time.sleep(0.02)
    run.stop()
    assert run.wait(60).status is Status.STOPPED
    shared.close()
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        archive.writestr("a.png", png(np.zeros((8, 8, 3), np.uint8)))
        for i in range(150):
            archive.writestr(f"{i}.txt", "")
    later = JobManager(home, limits=LOCAL_LIMITS)
    again = later.resume(run.run_id, tmp_path / "many.zip", delete_source=True)
    assert "more than 100 files" in again.wait(60).error
    later.close()


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"{}", b"null", b"\xff"])
def test_a_damaged_owner_is_nobody(tmp_path, damaged):
    assert read_owner(tmp_path) is None
    write_owner(tmp_path, ME)
    assert read_owner(tmp_path) == ME
    (tmp_path / "owner.json").write_bytes(damaged)
    assert read_owner(tmp_path) == NOBODY


def test_a_full_queue_and_too_many_runs_of_one_are_sentences(home, long, digits, ledger):
    queue = manager(home, waiting=3, live=2)
    mine = [queue.submit(long, digits, owner=ME) for _ in range(2)]
    before = ledger.datasets()
    with pytest.raises(RunError, match="You have 2 runs waiting or running"):
        queue.submit(long, digits, owner=ME)
    assert ledger.datasets() == before
    theirs = queue.submit(long, digits, owner=OTHER)
    with pytest.raises(RunError, match="3 runs are waiting already"):
        queue.submit(long, digits, owner="3" * 64)
    for run in (theirs, *mine):
        queue.stop(run.run_id)
    assert {run.wait(60).status for run in (theirs, *mine)} == {Status.STOPPED}
    again = queue.resume(mine[0].run_id)
    queue.resume(mine[1].run_id)
    with pytest.raises(RunError, match="You have 2 runs"):
        queue.submit(long, digits, owner=ME)
    queue.stop(again.run_id)
    queue.close()


def test_kept_runs_of_one_are_counted(home, quick, digits):
    queue = manager(home, kept=2)
    first, second = (queue.submit(quick, digits, owner=ME) for _ in range(2))
    second.wait(60)
    with pytest.raises(RunError, match="You have 2 runs here"):
        queue.submit(quick, digits, owner=ME)
    queue.submit(quick, digits, owner=OTHER).wait(60)
    queue.delete(first.run_id)
    queue.submit(quick, digits, owner=ME).wait(60)
    queue.close()


def test_a_refused_start_gives_its_place_back(home, quick, digits, tmp_path):
    queue = manager(home, live=1)
    with pytest.raises(DataError):
        queue.submit(quick, tmp_path / "nowhere", owner=ME)
    for _ in range(2):
        queue.submit(quick, digits, owner=ME).wait(60)  # one that has ended takes no place
    queue.close()


def test_runs_that_were_only_looked_at_leave_memory(home, quick, digits, monkeypatch):
    monkeypatch.setattr(jobs, "RUNS_AT_REST", 2)
    queue = manager(home)
    made = [queue.submit(quick, digits) for _ in range(4)]
    for run in made:
        run.wait(60)
    for run in (*made, made[0], made[2]):
        assert queue.get(run.run_id).run_id == run.run_id
    assert list(queue._runs) == [made[0].run_id, made[2].run_id]
    queue.close()


def test_a_run_that_waits_or_works_stays_in_memory(home, quick, long, digits, monkeypatch):
    monkeypatch.setattr(jobs, "RUNS_AT_REST", 1)
    queue = manager(home)
    done = [queue.submit(quick, digits) for _ in range(3)]
    for run in done:
        run.wait(60)
    live = [queue.submit(long, digits) for _ in range(2)]
    for run in done:
        queue.get(run.run_id)
    assert [queue.get(run.run_id) for run in live] == live
    for run in live:
        queue.stop(run.run_id)
        run.wait(60)
    queue.close()


def test_each_owner_has_a_ledger_that_is_found_again(home, quick, long, digits):
    capped = replace(quick, epsilon_cap=quick.epsilon)
    first = manager(home, apart=True)
    theirs = first.submit(replace(quick, dataset_name="their name"), digits, owner=OTHER)
    done = first.submit(capped, digits, owner=ME)
    assert [run.wait(60).error for run in (theirs, done)] == ["", ""]
    with pytest.raises(BudgetError):
        first.submit(capped, digits, owner=ME)
    stopped = first.submit(replace(long, dataset_name="other"), digits, owner=OTHER)
    while not stopped.snapshot.generations and not stopped.snapshot.status.ended:
        stopped.wait(0.05)
    first.close()

    second = manager(home, apart=True)
    assert second.get(done.run_id).snapshot.epsilon_spent == pytest.approx(quick.epsilon, rel=0.01)
    assert second.get(done.run_id).noisy_votes(1).tolist() == done.noisy_votes(1).tolist()
    with pytest.raises(BudgetError):
        second.submit(capped, digits, owner=ME)
    resumed = second.resume(stopped.run_id)
    while len(resumed.snapshot.generations) < 3 and not resumed.snapshot.status.ended:
        resumed.wait(0.05)
    second.close()
    assert resumed.snapshot.error == "" and len(resumed.snapshot.generations) >= 3
    names = {}
    for owner in (ME, OTHER):
        folder = home / "accounts" / owner[:32]
        assert folder.stat().st_mode & 0o777 == (home / "accounts").stat().st_mode & 0o777 == 0o700
        names[owner] = {entry.name for entry in Ledger(folder).datasets()}
    assert names == {ME: {quick.dataset_name}, OTHER: {"their name", "other"}}
    assert Ledger(home).datasets() == []


def test_what_a_deleted_run_had_reserved_goes_back_to_its_owner(home, long, digits):
    queue = manager(home, apart=True)
    capped = replace(long, epsilon_cap=long.epsilon)
    run = queue.submit(capped, digits, owner=ME)
    queue.stop(run.run_id)
    run.wait(60)
    queue.delete(run.run_id)
    (entry,) = Ledger(home / "accounts" / ME[:32]).datasets()
    assert (entry.runs, entry.reserved) == (1, 0)
    queue.close()


def test_a_run_of_a_ledger_that_all_shared_keeps_it(home, quick, digits):
    """Before owners were kept apart the machine's ledger took all votes."""
    first = manager(home)
    run = first.submit(quick, digits, owner=ME)
    run.wait(60)
    first.close()
    second = JobManager(home, apart=True, keeper=OTHER)
    assert second.get(run.run_id).noisy_votes(1) is not None
    theirs = second.submit(quick, digits, owner=OTHER)
    mine = second.submit(quick, digits, owner=ME)
    assert theirs.wait(60).status is mine.wait(60).status is Status.DONE
    assert theirs.ledger.identity == Ledger(home).identity != mine.ledger.identity
    second.close()


def test_a_run_resumed_before_the_queue_saw_its_end_goes_on(home, long, digits, monkeypatch):
    noticed, own = threading.Event(), Run.ended.fget

    class Late:
        def __init__(self, ended):
            self.ended = ended

        def wait(self, timeout=None):
            return self.ended.wait(timeout) and noticed.wait()

    monkeypatch.setattr(Run, "ended", property(lambda run: Late(own(run))))
    queue = manager(home)
    run = queue.submit(long, digits)
    deadline = time.monotonic() + 60
    while not run.snapshot.generations and time.monotonic() < deadline:
        time.sleep(0.02)
    queue.stop(run.run_id)
    made = len(run.wait(60).generations)
    assert run.snapshot.status is Status.STOPPED
    queue.resume(run.run_id)
    noticed.set()
    while len(run.snapshot.generations) == made and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(run.snapshot.generations) > made
    queue.close()
