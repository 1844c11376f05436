"""How fast runs are steered: ``python -m tests.tools.steering_times [RUNS]``.

Prints two tables: how long Pause and Finish here take, with the bundled miniature on this CPU, in
each kind of work that they may come upon; and how long it takes to list 1,000 runs.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pe_engine.build import EXAMPLE
from pe_engine.config import RunConfig
from pe_engine.events import Phase
from pe_engine.header import new_run_id
from pe_engine.history import History
from pe_engine.jobs import JobManager
from pe_engine.presets import PRESETS
from pe_engine.runner import Run
from pe_engine.snapshot import Status
from pe_engine.ui.history_routes import PAGE, entry

REPEATS = 5
COMINGS = (Phase.RANDOM, Phase.LOOKAHEAD, Phase.VARY)


def until(run: Run, phase: Phase, generation: int) -> None:
    while run.snapshot.phase is not phase or run.snapshot.generation < generation:
        if run.snapshot.status.ended:
            raise RuntimeError(f"the run ended: {run.snapshot.error or run.snapshot.status}")
        time.sleep(0.002)


def seconds_to(manager: JobManager, config: RunConfig, phase: Phase, finish: bool) -> float:
    """From the wish to the end of the run."""
    run = manager.submit(config, EXAMPLE)
    until(run, phase, 0 if phase is Phase.RANDOM else 2 if finish else 1)
    asked = time.perf_counter()
    (manager.finish_early if finish else manager.stop)(run.run_id)
    ended = run.wait(60)
    seconds = time.perf_counter() - asked
    wanted = Status.DONE if finish else Status.STOPPED
    if ended.status is not wanted:
        raise RuntimeError(f"it is {ended.status}: {ended.error}")
    manager.delete(run.run_id)
    return seconds


def steering(home: Path) -> None:
    settings = {**PRESETS["handwriting"].settings, "num_samples": (100,), "iterations": 5}
    config = RunConfig(dataset_name="handwriting", **settings)
    manager = JobManager(home)
    print(f"{config.generator}, {config.num_samples[0]} samples, {os.cpu_count()} CPU cores")
    print("| wish | while | median s | longest s |\n|---|---|---:|---:|")
    for finish in (False, True):
        for phase in COMINGS[finish:]:
            times = [seconds_to(manager, config, phase, finish) for _ in range(REPEATS)]
            name = "Finish here" if finish else "Pause"
            print(f"| {name} | {phase.value} | {statistics.median(times):.2f} | {max(times):.2f} |")
    manager.close()


def listing(home: Path, runs: int) -> None:
    manager = JobManager(home)
    config = RunConfig(dataset_name="x", iterations=1, num_samples=(30,), lookahead=0)
    run = manager.submit(replace(config, epsilon=5.0), EXAMPLE)
    run.wait()
    for _ in range(runs - 1):
        run_id = new_run_id()
        folder = shutil.copytree(run.folder, run.folder.with_name(run_id))
        header = folder / "run.json"
        header.write_text(header.read_text("utf-8").replace(run.run_id, run_id), "utf-8")
    print(f"\n{runs} runs\n| what | s |\n|---|---:|")
    for what in ("which runs there are, first time", "again"):
        started = time.perf_counter()
        kept = manager.kept(lambda owner: owner is None)
        print(f"| {what} | {time.perf_counter() - started:.3f} |")
    assert len(kept) == len(History(home / "runs").kept()) == runs
    for what, some in ((f"a page of {PAGE} of them", kept[:PAGE]), ("all of them", kept)):
        started = time.perf_counter()
        for one in some:
            entry(manager, one, owner=True)
        print(f"| {what} in words | {time.perf_counter() - started:.3f} |")
    manager.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        steering(Path(folder) / "steered")
        listing(Path(folder) / "listed", int(sys.argv[1]) if sys.argv[1:] else 1000)
