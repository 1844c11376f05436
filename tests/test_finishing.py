"""A run that is finished early: what its release says, what it costs, and what it survives."""

import json
import os
import time
import zipfile
from dataclasses import replace
from itertools import count
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest

from pe_engine import cli
from pe_engine.build import continue_run
from pe_engine.errors import GeneratorError, RunError
from pe_engine.jobs import MOST_FINISHING, JobManager
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run
from pe_engine.snapshot import Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.durability.faults import Killed
from tests.durability.operations import watched

LONG = {"num_samples": (300,), "iterations": 50}


@pytest.fixture
def manager(home):
    queue = JobManager(home)
    yield queue
    queue.close()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def privacy_of(folder):
    with zipfile.ZipFile(folder / "synthetic.zip") as archive:
        return json.loads(archive.read("manifest.json"))["privacy"]


def stopped(folder, config, digits, ledger, after=1):
    """A run in ``folder`` that was stopped once generation ``after`` was finished."""
    start_run(folder, config, digits, ledger)
    events = continue_run(RunFolder(folder), ledger)
    while RunFolder(folder).last_generation() < after:
        next(events)
    events.close()
    return Run(folder, ledger)


def test_finish_here_releases_the_last_generation_at_the_cost_of_the_plan(manager, config, digits):
    run = manager.submit(replace(config, epsilon_cap=10.0, **LONG), digits)
    until(lambda: len(run.snapshot.generations) >= 3)
    manager.finish_early(run.run_id)
    last = run.wait(60)
    made = len(last.generations) - 1
    assert (last.status, last.error, last.finishes_early) == (Status.DONE, "", True)
    assert last.zip_ready and not last.needs_images and 2 <= made < 50
    privacy = privacy_of(run.folder)
    assert privacy["epsilon"] == pytest.approx(config.epsilon, rel=1e-3)
    assert privacy["planned_releases"] == 50
    assert len(privacy["generations"]) == made + 1
    assert 0 <= privacy["releases"] - made <= 1
    assert last.epsilon_spent < privacy["epsilon"] / 2
    with np.load(run.folder / "samples.npz") as file:
        np.testing.assert_array_equal(file["samples"], run.population(made).images)
    assert not (run.folder / "private").exists()
    ledger = manager._ledger
    (entry,) = ledger.datasets()
    assert (entry.generations, entry.reserved) == (privacy["releases"], 0)
    with pytest.raises(RunError, match="done already"):
        manager.finish_early(run.run_id)
    with pytest.raises(RunError, match="done"):
        manager.resume(run.run_id)


def test_votes_of_a_generation_that_was_not_made_count(
    tmp_path, config, digits, ledger, monkeypatch
):
    run = stopped(tmp_path / "out", config, digits, ledger)
    with monkeypatch.context() as patch:

        def broken(*_):
            raise GeneratorError("It broke.")

        patch.setattr("pe_engine.evolution.Evolution._parents", broken)
        run.start()
        assert run.wait(60).status is Status.FAILED
    run.finish_early()
    run.start()
    assert run.wait(60).status is Status.DONE
    privacy = privacy_of(run.folder)
    assert (privacy["releases"], len(privacy["generations"])) == (2, 2)
    assert run.snapshot.epsilon_spent == run._header.budget.epsilons[1]
    assert Run(tmp_path / "out", ledger).snapshot.epsilon_spent == run._header.budget.epsilons[1]


def test_what_a_run_started_from_is_part_of_what_it_costs(tmp_path, config, digits, ledger):
    first = stopped(tmp_path / "first", config, digits, ledger)
    initial = f"{first.folder}:1"
    later = stopped(tmp_path / "later", replace(config, initial=initial), digits, ledger)
    later.finish_early()
    later.start()
    assert later.wait(60).status is Status.DONE
    assert privacy_of(later.folder)["epsilon"] == later._header.budget.epsilons[-1] > 5.5


def test_a_run_that_nothing_has_voted_in_is_not_finished(tmp_path, config, digits, ledger):
    run = stopped(tmp_path / "out", config, digits, ledger, after=0)
    with pytest.raises(RunError, match="nothing to keep"):
        run.finish_early()
    assert not RunFolder(run.folder).finishes_early


def test_a_finish_that_is_killed_at_any_operation_is_made_up_for(tmp_path, config, digits, ledger):
    few = replace(config, num_samples=(9,), lookahead=0)
    folder = stopped(tmp_path / "out", few, digits, ledger).folder
    Run(folder, ledger).finish_early()
    kills = 0
    for number in count(1, 7):
        child = os.fork()
        if child == 0:
            try:
                with watched(tmp_path, Killed(number)):
                    for _ in continue_run(RunFolder(folder), Ledger(tmp_path / "home")):
                        pass
            finally:
                os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
        kills += 1
        again = Run(folder, Ledger(tmp_path / "home"))
        assert again.snapshot.finishes_early and not again.snapshot.needs_images
    assert kills >= 3
    assert privacy_of(folder)["planned_releases"] == 3
    assert not (folder / "private").exists()
    assert [p.name for p in folder.rglob("*.part")] == []
    (entry,) = ledger.datasets()
    assert (entry.generations, entry.reserved) == (1, 0)


def test_after_a_restart_a_wished_finish_needs_no_turn(home, config, digits):
    first = JobManager(home)
    run = first.submit(replace(config, **LONG), digits)
    until(lambda: len(run.snapshot.generations) >= 2)
    first.close()
    RunFolder(run.folder).finish_early()  # and the process ended
    second = JobManager(home)
    busy = second.submit(replace(config, **LONG), digits)
    assert second.get(run.run_id).snapshot.status is Status.STOPPED
    again = second.resume(run.run_id)
    assert again.wait(60).status is Status.DONE
    assert not busy.snapshot.status.ended
    second.close()


def test_the_command_line_finishes_a_stopped_run(tmp_path, home, config, digits, capsys):
    out = stopped(tmp_path / "out", config, digits, Ledger(home)).folder
    assert cli.main(["resume", str(out), "--finish"]) == 0
    said = capsys.readouterr().out
    assert "ε = 5 of all 3 generations planned" in said
    assert privacy_of(out)["releases"] == 1
    assert cli.main(["resume", str(out)]) == 0


def test_a_run_that_waits_changes_places_only_with_its_owners(manager, config, digits):
    long = replace(config, **LONG)
    mine, theirs = "1" * 64, "2" * 64
    runs = [manager.submit(long, digits, owner=owner) for owner in (mine, mine, theirs, mine)]
    until(lambda: runs[0].snapshot.status is Status.RUNNING)

    def places():
        return [run.snapshot.queue_position for run in runs]

    assert places() == [0, 1, 2, 3]
    manager.sooner(runs[3].run_id)
    assert places() == [0, 3, 2, 1]
    manager.sooner(runs[2].run_id)
    manager.sooner(runs[0].run_id)
    assert places() == [0, 3, 2, 1]
    manager.stop(runs[3].run_id)
    assert [run.snapshot.queue_position for run in runs[1:3]] == [2, 1]
    manager.delete(runs[3].run_id)
    for run in runs[:3]:
        manager.stop(run.run_id)
        assert run.wait(60).status is Status.STOPPED


def test_a_paused_run_that_is_finished_is_told_of_as_any_other(home, config, digits):
    told, heard = [], Event()
    queue = JobManager(home, finished=lambda folder: (told.append(folder), heard.set()))
    run = queue.submit(replace(config, **LONG), digits)
    until(lambda: len(run.snapshot.generations) >= 2)
    queue.stop(run.run_id)
    assert run.wait(60).status is Status.STOPPED and not told
    queue.finish_early(run.run_id)
    assert heard.wait(60) and told == [run.folder]
    queue.close()


def test_a_stop_whose_time_is_over_does_not_give_up_the_finish(tmp_path, config, digits, ledger):
    class Unlucky(Run):
        ended_too_soon = False

        def _stopped_to_finish(self, lease):
            again = super()._stopped_to_finish(lease)
            self._give_up(lease)  # as the timer of the stop does
            self.ended_too_soon = lease.given_up.is_set() or self._ended.is_set()
            return again

    start_run(tmp_path / "out", replace(config, **LONG), digits, ledger)
    run = Unlucky(tmp_path / "out", ledger)
    run.start()
    until(lambda: len(run.snapshot.generations) >= 2)
    run.finish_early()
    assert run.wait(60).status is Status.DONE and not run.ended_too_soon


def test_few_runs_are_released_at_once_out_of_turn(manager):
    working, most = [], []

    class Finished:
        def work(self):
            working.append(self)
            most.append(len(working))
            time.sleep(0.05)
            working.remove(self)

        snapshot = SimpleNamespace(status=Status.STOPPED)

    threads = [Thread(target=manager._finish, args=(Finished(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == MOST_FINISHING and len(most) == 6
