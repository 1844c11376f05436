"""Two processes that want the same bit of one budget at the same moment."""

from __future__ import annotations

import multiprocessing
from functools import lru_cache
from pathlib import Path

import numpy as np

from pe_engine.errors import BudgetError, RunError
from pe_engine.privacy.accounting import Charge, composed_epsilon
from pe_engine.privacy.ledger import Cap, Ledger
from tests.durability.sweeps import Tally

# σ = 11.7972 costs ε = 1 at δ = 1e-5 in 10 generations; twice that costs 1.465.
PLAN = Charge(11.7972, 1, 10)
CAP = Cap(1.2, 1e-5)
SECONDS = 120


def _opened(ledger: Ledger, me: str, i: int) -> None:
    """Both open a run; the cap has room for one."""
    ledger.open_run(f"{me}{i}", f"data{i}", PLAN, CAP)


def _committed(ledger: Ledger, me: str, i: int) -> None:
    """Both commit the same generation of the same run."""
    ledger.commit(f"a{i}", 1, np.full(3, ord(me)))


def _bound(ledger: Ledger, me: str, i: int) -> None:
    """Under two names, each with room for one, both have read the same images."""
    ledger.bind_data(f"{me}{i}", ledger.fingerprint([bytes([i % 256]) * 32, i.to_bytes(32, "big")]))


def _closed(ledger: Ledger, me: str, i: int) -> None:
    """One commits to a run and opens it again, while the other closes it and opens its own."""
    if me == "a":
        ledger.commit(f"a{i}", 1, np.full(3, ord(me)))
    else:
        ledger.close_run(f"a{i}")
    ledger.open_run(f"{me}{i}", f"data{i}", PLAN, CAP)


RACES = (_opened, _committed, _bound, _closed)
ONE_WINS = (_opened, _committed, _bound)


def races(home: Path, rounds: int) -> Tally:
    """``rounds`` races of all kinds in turn: what they left is within every cap."""
    tally = Tally("two processes race for one budget")
    ledger = Ledger(home)
    for i in range(rounds):
        _prepare(ledger, i)
    won = _run(home, rounds)
    names = {entry.name: entry for entry in ledger.datasets()}
    for i in range(rounds):
        tally.attempt(f"race {i}", lambda i=i: _check(ledger, names, i, won[i]))
    return tally


def _prepare(ledger: Ledger, i: int) -> None:
    race = RACES[i % len(RACES)]
    if race in (_committed, _closed):
        ledger.open_run(f"a{i}", f"data{i}", PLAN, CAP)
        ledger.bind_data(f"a{i}", ledger.fingerprint([i.to_bytes(32, "big")]))
    elif race is _bound:
        for me in "ab":
            ledger.open_run(f"{me}{i}", f"data{i}{me}", PLAN, CAP)


def _run(home: Path, rounds: int) -> list[str]:
    """Who was not refused in each race."""
    spawn = multiprocessing.get_context("spawn")
    barrier, outcomes = spawn.Barrier(2), spawn.Queue()
    racers = [
        spawn.Process(target=_race, args=(home, me, rounds, barrier, outcomes)) for me in "ab"
    ]
    for racer in racers:
        racer.start()
    won = [""] * rounds
    for _ in range(2 * rounds):
        i, me, refused = outcomes.get(timeout=SECONDS)
        won[i] += "" if refused else me
    for racer in racers:
        racer.join()
    return won


def _race(home: Path, me: str, rounds: int, barrier, outcomes) -> None:
    ledger = Ledger(home)
    for i in range(rounds):
        barrier.wait(SECONDS)
        refused = False
        try:
            RACES[i % len(RACES)](ledger, me, i)
        except (BudgetError, RunError):
            refused = True
        outcomes.put((i, me, refused))


def _check(ledger: Ledger, names: dict, i: int, won: str) -> None:
    race = RACES[i % len(RACES)]
    if race in ONE_WINS:
        assert len(won) == 1, f"{race.__name__}: {won or 'nobody'} won"
    if race is _committed:
        np.testing.assert_array_equal(ledger.noisy_votes(f"a{i}", 1), np.full(3, ord(won)))
    for name in (f"data{i}", f"data{i}a", f"data{i}b"):
        if name in names:
            spent = sum(charge.generations for charge in names[name].charges)
            spent += sum(names[n].reserved for n in (name, *names[name].other_names))
            assert _epsilon(spent) <= CAP.epsilon, f"{race.__name__}: {spent} generations"


@lru_cache
def _epsilon(generations: int) -> float:
    charges = [Charge(PLAN.noise_multiplier, 1, generations)] if generations else []
    return composed_epsilon(charges, CAP.delta, CAP.adjacency)
