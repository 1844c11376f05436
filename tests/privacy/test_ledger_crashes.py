"""The ledger under kill -9, two processes and many threads: whole commits or none, no overspend."""

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pe_engine.errors import BudgetError, RunError
from pe_engine.privacy.ledger import Cap, Charge, Ledger

# σ = 11.7972 costs ε = 1 at δ = 1e-5 in 10 generations; twice that costs 1.465.
PLAN = Charge(11.7972, 1, 10)
CAP = Cap(1.2, 1e-5)


@pytest.fixture
def begun(ledger):
    """A ledger with run 'a' of 200 generations, ready to commit."""
    ledger.open_run("a", "data", Charge(40.0, 1, 200))
    ledger.bind_data("a", ledger.fingerprint([]))
    return ledger


COMMITS_UNTIL_KILLED = """
import sys
from pathlib import Path
import numpy as np
from pe_engine.privacy.ledger import Charge, Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.open_run("a", "data", Charge(40.0, 1, 200))
ledger.bind_data("a", ledger.fingerprint([]))
for generation in range(1, 201):
    if ledger.noisy_votes("a", generation) is None:
        ledger.commit("a", generation, np.full(20_000, generation))
        print(generation, flush=True)
"""


def assert_whole(ledger: Ledger, size: int) -> int:
    """Every charge has its votes, complete; returns how many."""
    done = ledger.datasets()[0].generations
    for generation in range(1, done + 1):
        votes = ledger.noisy_votes("a", generation)
        np.testing.assert_array_equal(votes, np.full(size, generation))
    assert ledger.noisy_votes("a", done + 1) is None
    return done


def test_a_killed_run_leaves_votes_and_charges_in_step(ledger, home):
    done = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", COMMITS_UNTIL_KILLED, str(home)],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            child.stdout.readline()
            time.sleep(random.uniform(0, 0.03))
            child.kill()
            told = [int(line) for line in child.stdout]
        before, done = done, assert_whole(ledger, 20_000)
        assert done > before
        assert done >= max(told, default=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_before_any_statement_a_commit_is_whole_or_absent(begun, monkeypatch):
    outcomes = []
    while not outcomes or outcomes[-1] != "lived":
        child = os.fork()
        if child == 0:
            _commit_until_statement(begun, monkeypatch, len(outcomes) + 1)
        _, status = os.waitpid(child, 0)
        done = assert_whole(begun, 50)
        outcomes.append("lived" if os.WIFEXITED(status) else f"killed with {done}")
    assert outcomes[-2:] == ["killed with 0", "lived"]
    assert len(outcomes) > 6
    assert assert_whole(begun, 50) == 1


def _commit_until_statement(ledger, monkeypatch, fatal: int):
    """Commit generation 1 in this process, which dies before its ``fatal``-th SQL statement."""
    count = 0

    class Dying(sqlite3.Connection):
        def execute(self, *arguments):
            nonlocal count
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(*arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Dying, **k))
    ledger.commit("a", 1, np.full(50, 1))
    os._exit(0)


def _race(home, run_id, rounds, barrier, wins):
    ledger = Ledger(home)
    for i in range(rounds):
        barrier.wait(60)
        try:
            ledger.open_run(f"{run_id}{i}", f"data{i}", PLAN, CAP)
        except BudgetError:
            continue
        wins.put(i)
    wins.put(None)


def test_two_processes_never_overspend_a_cap(home):
    spawn = multiprocessing.get_context("spawn")
    barrier, wins, rounds = spawn.Barrier(2), spawn.Queue(), 50
    racers = [
        spawn.Process(target=_race, args=(home, name, rounds, barrier, wins)) for name in "ab"
    ]
    for racer in racers:
        racer.start()
    won = [i for racer in racers for i in iter(wins.get, None)]
    for racer in racers:
        racer.join()
    assert sorted(won) == list(range(rounds))
    assert all(d.reserved == 10 for d in Ledger(home).datasets())


def test_threads_share_one_ledger(begun):
    outcomes: list[str] = []

    def work(offset: int) -> None:
        for generation in range(1, 25):
            try:
                begun.commit("a", generation, np.array([offset]))
                outcomes.append("committed")
            except RunError:
                outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("committed") == 24
    assert outcomes.count("refused") == 72
