"""Run and JobManager: threads, snapshots, stop, resume, queue, restart."""

import threading
import time
import zipfile
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pe_engine import build
from pe_engine.components import chosen
from pe_engine.errors import BudgetError, DataError, GeneratorError, RunError
from pe_engine.events import Phase
from pe_engine.generators.text_render import TextRender
from pe_engine.jobs import JobManager
from pe_engine.runner import GRACE_SECONDS, Run
from pe_engine.snapshot import Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder

LONG = {"num_samples": (3000,), "lookahead": 8, "iterations": 20}


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def manager(home):
    jobs = JobManager(home)
    yield jobs
    jobs.close()


def test_snapshots_tell_a_run_from_start_to_end(tmp_path, config, digits, ledger):
    start_run(tmp_path / "out", config, digits, ledger)
    run = Run(tmp_path / "out", ledger)
    assert run.snapshot.status is Status.STOPPED
    seen = [run.snapshot]
    run.start()
    while not run.snapshot.status.ended:
        if run.snapshot.version != seen[-1].version:
            seen.append(run.snapshot)
    last = run.wait()
    assert last.status is Status.DONE
    assert last.zip_ready
    assert last.error == ""
    assert [v.generation for v in last.generations] == [0, 1, 2, 3]
    assert [v.has_votes for v in last.generations] == [False, True, True, True]
    assert last.generations[-1].epsilon_spent <= config.epsilon
    assert all(a.version < b.version for a, b in pairwise(seen))
    assert any(s.seconds_left for s in seen)
    assert run.noisy_votes(1).shape == (30,)
    assert len(run.population(3)) == 30
    with pytest.raises(FrozenInstanceError):
        last.version = 0


def test_a_run_says_that_it_loads_its_models_and_nothing_else_meanwhile(
    tmp_path, config, digits, ledger, monkeypatch
):
    asked, may_load = threading.Event(), threading.Event()
    at_work = []

    def slow(*arguments):
        asked.set()
        may_load.wait(60)
        made = evolution(*arguments)
        draw = made.generator.random

        def random(*request):
            at_work.append(run.snapshot.loading)
            return draw(*request)

        made.generator.random = random
        return made

    evolution = build._evolution
    monkeypatch.setattr(build, "_evolution", slow)
    start_run(tmp_path / "out", config, digits, ledger)
    run = Run(tmp_path / "out", ledger)
    assert not run.snapshot.loading
    run.start()
    asked.wait(60)
    now = run.snapshot
    assert now.status is Status.RUNNING
    assert now.loading and now.phase is now.seconds_left is None
    may_load.set()
    assert run.wait().status is Status.DONE
    assert set(at_work) == {False}


def test_votes_count_as_spent_as_soon_as_they_are_released(
    tmp_path, config, digits, ledger, monkeypatch
):
    def broken(*_):
        raise GeneratorError("It broke.")

    start_run(tmp_path / "out", config, digits, ledger)
    run = Run(tmp_path / "out", ledger)
    assert run.snapshot.epsilon_spent == 0
    assert run.snapshot.epsilon_planned == config.epsilon
    with monkeypatch.context() as patch:
        patch.setattr("pe_engine.evolution.Evolution._parents", broken)
        run.start()
        assert run.wait().status is Status.FAILED
    first = run._header.budget.epsilons[0]
    assert len(run.snapshot.generations) == 1
    assert run.snapshot.epsilon_spent == first
    again = Run(tmp_path / "out", ledger)
    assert again.snapshot.epsilon_spent == first
    again.start()
    assert again.wait().epsilon_spent == again.snapshot.generations[-1].epsilon_spent > first


def test_the_budget_of_a_run_holds_what_it_starts_from(tmp_path, config, digits, ledger):
    start_run(tmp_path / "first", config, digits, ledger)
    first = Run(tmp_path / "first", ledger)
    first.start()
    assert first.wait().status is Status.DONE
    later = replace(config, initial=str(tmp_path / "first"))
    start_run(tmp_path / "second", later, digits, ledger)
    second = Run(tmp_path / "second", ledger)
    assert second.snapshot.epsilon_spent == pytest.approx(config.epsilon, rel=1e-3)
    assert second.snapshot.epsilon_planned > config.epsilon + 1
    assert second.snapshot.generations[0].epsilon_spent == second.snapshot.epsilon_spent


def test_private_features_are_gone_once_a_run_is_done(tmp_path, config, digits, ledger):
    start_run(tmp_path / "out", config, digits, ledger)
    run = Run(tmp_path / "out", ledger)
    run.start()
    assert run.wait().status is Status.DONE
    assert not (tmp_path / "out" / "private").exists()


@pytest.mark.parametrize("keep_features, waiting", [(False, "source.json"), (True, "features.npz")])
def test_stop_is_quick_and_resume_finishes(manager, config, digits, keep_features, waiting):
    run = manager.submit(replace(config, keep_features=keep_features, **LONG), digits)
    until(lambda: len(run.snapshot.generations) >= 2)
    manager.stop(run.run_id)
    snapshot = run.wait(30)
    assert len(snapshot.generations) < 20  # it did not simply run to its end
    assert snapshot.status is Status.STOPPED
    assert [f.name for f in (run.folder / "private").iterdir()] == [waiting]
    made = len(snapshot.generations)
    votes = run.noisy_votes(1)
    manager.resume(run.run_id)
    until(lambda: len(run.snapshot.generations) > made)
    np.testing.assert_array_equal(run.noisy_votes(1), votes)
    manager.stop(run.run_id)
    assert run.wait(30).status is Status.STOPPED


def test_a_run_stopped_while_it_reads_does_not_say_how_far_it_was(tmp_path, config, digits, ledger):
    start_run(tmp_path / "out", config, digits, ledger)
    run = Run(tmp_path / "out", ledger)
    told = []

    def stop_while_reading(*_, publish=run._publish, **changes):
        publish(**changes)
        told.append(run.snapshot.phase_fraction)
        if changes.get("phase") is Phase.PRIVATE:
            run.stop()

    run._publish = stop_while_reading
    run.start()
    assert run.wait(30).status is Status.STOPPED
    assert max(told) > 0 and run.snapshot.phase_fraction == 0


def test_a_stop_waits_for_a_call_that_is_paid_for(manager, config, digits, monkeypatch):
    waits = []

    class Timer(threading.Timer):
        def __init__(self, interval, *arguments):
            waits.append(interval)
            super().__init__(interval, *arguments)

    monkeypatch.setattr("pe_engine.runner.threading.Timer", Timer)
    monkeypatch.setattr(TextRender, "paid_seconds", lambda _: 77.0)
    run = manager.submit(replace(config, **LONG), digits)
    until(lambda: len(run.snapshot.generations) >= 1)
    manager.stop(run.run_id)
    run.wait(30)
    assert waits == [GRACE_SECONDS + 77]


def test_paid_calls_take_as_long_as_their_option_says():
    for name in ("openai_images", "hf_inference"):
        kind, options = chosen(name, {"timeout": 33.0})
        assert kind.paid_seconds(options) == 33
    kind, options = chosen("composite", {})
    assert kind.paid_seconds(options) == 0


def test_runs_wait_for_their_turn(manager, config, digits):
    first = manager.submit(replace(config, **LONG), digits)
    second = manager.submit(config, digits)
    third = manager.submit(config, digits)
    until(lambda: first.snapshot.status is Status.RUNNING)
    assert second.snapshot.status is Status.QUEUED
    assert (second.snapshot.queue_position, third.snapshot.queue_position) == (1, 2)
    manager.stop(second.run_id)
    assert second.wait(5).status is Status.STOPPED
    assert first.snapshot.status is Status.RUNNING
    manager.stop(first.run_id)
    assert third.wait(60).status is Status.DONE


def test_a_new_process_finds_the_runs_of_the_old_one(home, config, digits):
    old = JobManager(home)
    run = old.submit(replace(config, **LONG), digits)
    until(lambda: len(run.snapshot.generations) >= 2)
    old.close()
    assert run.snapshot.status is Status.STOPPED
    new = JobManager(home)
    try:
        found = new.get(run.run_id)
        assert found.snapshot.status is Status.STOPPED
        assert len(found.snapshot.generations) == len(run.snapshot.generations)
        assert new.get("0" * 32) is None
        assert new.get("../" + run.run_id) is None
        with pytest.raises(RunError, match="no such run"):
            new.resume("0" * 32)
    finally:
        new.close()


def test_delete_removes_files_but_not_charges(manager, config, digits, ledger):
    run = manager.submit(config, digits)
    assert run.wait(60).status is Status.DONE
    with pytest.raises(RunError, match="nothing to resume"):
        manager.resume(run.run_id)
    manager.delete(run.run_id)
    assert not run.folder.exists()
    assert manager.get(run.run_id) is None
    assert sum(c.generations for c in ledger.spent("digits")) == 3


def test_a_running_run_is_not_deleted(manager, config, digits):
    run = manager.submit(replace(config, **LONG), digits)
    with pytest.raises(RunError, match="Stop it first"):
        manager.delete(run.run_id)
    manager.stop(run.run_id)


def test_an_upload_is_deleted_once_read(manager, config, digits, tmp_path):
    upload = tmp_path / "upload.zip"
    upload.write_bytes(digits.read_bytes())
    run = manager.submit(config, upload, delete_source=True)
    assert run.wait(60).status is Status.DONE
    assert not upload.exists()
    assert digits.exists()


def test_the_cap_refuses_before_any_image_is_read(manager, config, digits, tmp_path, monkeypatch):
    capped = replace(config, epsilon_cap=6.0)
    assert manager.submit(capped, digits).wait(60).status is Status.DONE

    def read(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr("pe_engine.data.PrivateDataset.batches", read)
    before = sorted((manager._runs_folder).iterdir())
    with pytest.raises(BudgetError, match=r"6"):
        manager.submit(config, digits)
    assert sorted((manager._runs_folder).iterdir()) == before


def test_other_images_cannot_continue_a_run(tmp_path, config, digits, ledger):
    upload = tmp_path / "upload.zip"
    upload.write_bytes(digits.read_bytes())
    start_run(tmp_path / "out", replace(config, **LONG), upload, ledger, upload=True)
    run = Run(tmp_path / "out", ledger)
    run.start()
    until(lambda: len(run.snapshot.generations) >= 2)
    run.stop()
    assert run.wait(30).status is Status.STOPPED
    assert not (tmp_path / "out" / "private" / "features.npz").exists()
    assert not (tmp_path / "out" / "private" / "source.json").exists()

    run.start()
    assert "Give the same images" in run.wait(30).error

    others = tmp_path / "others.zip"
    with zipfile.ZipFile(digits) as source, zipfile.ZipFile(others, "w") as target:
        for name in source.namelist()[1:]:
            target.writestr(name, source.read(name))
    RunFolder(run.folder).adopt_source(others, upload=False)
    run.start()
    failed = run.wait(30)
    assert failed.status is Status.FAILED
    assert "began with" in failed.error

    made = len(run.snapshot.generations)
    RunFolder(run.folder).adopt_source(digits, upload=False)
    run.start()
    until(lambda: len(run.snapshot.generations) > made)
    run.stop()
    run.wait(30)


def test_a_broken_disk_is_said_in_one_sentence(tmp_path, config, digits, ledger, monkeypatch):
    start_run(tmp_path / "out", config, digits, ledger)
    run = Run(tmp_path / "out", ledger)

    def full(*_):
        raise OSError(28, "No space left on device", str(Path("/secret/name")))

    monkeypatch.setattr("pe_engine.storage.RunFolder.write_population", full)
    run.start()
    snapshot = run.wait(30)
    assert snapshot.status is Status.FAILED
    assert "No space left on device" in snapshot.error
    assert "secret" not in snapshot.error
    monkeypatch.undo()
    run.start()
    assert run.wait(60).status is Status.DONE


def test_a_run_that_breaks_down_does_not_take_the_queue_with_it(
    manager, config, digits, monkeypatch
):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: told.append(failure.exc_type))

    def broken(*_):
        raise MemoryError

    with monkeypatch.context() as breaking:
        breaking.setattr("pe_engine.storage.RunFolder.write_population", broken)
        failed = manager.submit(config, digits).wait(60)
    assert failed.status is Status.FAILED
    assert "console" in failed.error
    assert told == [MemoryError]
    assert manager.submit(config, digits).wait(60).status is Status.DONE


def test_two_runs_cannot_share_one_upload(manager, config, digits, tmp_path):
    upload = tmp_path / "upload.zip"
    upload.write_bytes(digits.read_bytes())
    first = manager.submit(config, upload, delete_source=True)
    assert not upload.exists()
    with pytest.raises(DataError, match="no such folder or zip"):
        manager.submit(config, upload, delete_source=True)
    assert first.wait(60).status is Status.DONE


def test_a_run_whose_upload_is_gone_is_resumed_with_the_images_again(
    manager, config, digits, tmp_path
):
    first = tmp_path / "first.zip"
    first.write_bytes(digits.read_bytes())
    run = manager.submit(replace(config, **LONG), first, delete_source=True)
    until(lambda: len(run.snapshot.generations) >= 2)
    assert run.snapshot.needs_images  # told before it is paused
    manager.stop(run.run_id)
    assert run.wait(30).needs_images
    with pytest.raises(RunError, match="Drop the same images again, then press Resume"):
        manager.resume(run.run_id)
    assert run.snapshot.status is Status.STOPPED and run.snapshot.error == ""
    upload = tmp_path / "again.zip"
    upload.write_bytes(digits.read_bytes())
    made = len(run.snapshot.generations)
    manager.resume(run.run_id, upload, delete_source=True)
    until(lambda: len(run.snapshot.generations) > made)
    assert not upload.exists()
    manager.stop(run.run_id)
    run.wait(30)


def test_resuming_twice_at_once_queues_a_run_once(manager, config, digits):
    run = manager.submit(replace(config, **LONG), digits)
    until(lambda: run.snapshot.status is Status.RUNNING)
    manager.stop(run.run_id)
    run.wait(30)
    outcomes = []

    def resume():
        try:
            outcomes.append(manager.resume(run.run_id))
        except RunError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=resume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome is run for outcome in outcomes) == 1
    manager.stop(run.run_id)
    assert run.wait(30).status is Status.STOPPED
    manager.delete(run.run_id)
    with pytest.raises(RunError, match="no such run"):
        manager.delete(run.run_id)


def test_a_stop_that_comes_too_late_changes_nothing(manager, config, digits):
    run = manager.submit(config, digits)
    assert run.wait(60).status is Status.DONE
    run.stop()
    assert run.snapshot.status is Status.DONE


def test_what_is_told_of_private_images_is_for_the_owner(tmp_path, config, digits, ledger):
    with_junk = tmp_path / "junk.zip"
    with_junk.write_bytes(digits.read_bytes())
    with zipfile.ZipFile(with_junk, "a") as archive:
        archive.writestr("0_broken.png", b"\x89PNG\r\n\x1a\nbroken")
    start_run(tmp_path / "out", replace(config, threshold=1e6), with_junk, ledger)
    run = Run(tmp_path / "out", ledger)
    run.start()
    snapshot = run.wait(60)
    assert snapshot.owner_notices == ("1 files could not be used as images; left out.",)
    assert len(snapshot.notices) == 9
    assert all("drawn uniformly" in notice for notice in snapshot.notices)
