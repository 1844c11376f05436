"""A run whose GPU is lent for one generation at a time, in a worker that is really forked."""

import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from pe_engine.errors import RunError
from pe_engine.events import GenerationReady, VotesReleased
from pe_engine.runner import Run, Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from pe_engine.zero_gpu import Failed, on_loan, one_generation
from tests.conftest import ROOT

forking = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks safely")


class Lender:
    """Runs each call in a forked worker; all that goes in and comes out is pickled."""

    def __init__(self):
        self.calls = []

    def __call__(self, *given):
        self.calls.append(given)
        context = multiprocessing.get_context("fork")
        queue, stop = context.SimpleQueue(), context.Event()
        sent = pickle.dumps(given)
        worker = context.Process(target=self.work, args=(sent, queue, stop), daemon=True)
        worker.start()
        try:
            while (said := queue.get()) is not None:
                yield pickle.loads(said)
        finally:
            stop.set()
            while not queue.empty() or worker.is_alive():
                if not queue.empty():
                    queue.get()
            worker.join()

    def work(self, sent, queue, stop):
        # This process has voted before, and the threads that did it are not forked with it.
        import faiss
        import torch

        torch.set_num_threads(1)
        faiss.omp_set_num_threads(1)
        events = one_generation(*pickle.loads(sent))
        for event in events:
            if stop.is_set():
                events.close()
                break
            queue.put(pickle.dumps(event))
        queue.put(None)


class Kept:
    """The same in this process."""

    def __init__(self):
        self.calls = []

    def __call__(self, *given):
        self.calls.append(given)
        yield from one_generation(*given)


@pytest.fixture
def begun(tmp_path, digits, ledger, config):
    """A run that keeps its features, not driven yet."""
    start_run(tmp_path / "run", replace(config, keep_features=True), digits, ledger)
    return tmp_path / "run"


@forking
def test_each_generation_is_a_call_of_its_own_and_the_run_is_done(begun, ledger):
    lender = Lender()
    run = Run(begun, ledger, driver=on_loan(lender))
    run.enqueue(0)
    run.work()
    snapshot = run.snapshot
    assert (snapshot.status, snapshot.error) == (Status.DONE, "")
    assert [until for _, _, until, _ in lender.calls] == [0, 1, 2, 3]
    assert len(snapshot.generations) == 4 and snapshot.epsilon_spent > 0
    assert run.zip_path.is_file() and not (begun / "private").exists()


def test_it_says_and_makes_what_an_unbroken_run_does(begun, ledger):
    kept = Kept()
    events = list(on_loan(kept)(RunFolder(begun), ledger))
    ready = [event for event in events if isinstance(event, GenerationReady)]
    assert [event.generation for event in ready] == [0, 1, 2, 3]
    assert all(len(event.population) == 30 for event in ready)
    votes = [event for event in events if isinstance(event, VotesReleased)]
    assert [event.generation for event in votes] == [1, 2, 3]
    for event in votes:
        assert (ledger.noisy_votes(ledger_run(begun), event.generation) == event.noisy_votes).all()


def ledger_run(folder):
    return RunFolder(folder).read_header()["run_id"]


@forking
def test_a_stop_ends_the_call_and_a_resume_goes_on(begun, ledger):
    lender = Lender()
    run = Run(begun, ledger, driver=on_loan(lender))
    run.enqueue(0)
    thread = threading.Thread(target=run.work)
    thread.start()
    while len(run.snapshot.generations) < 2:
        time.sleep(0.01)
    run.stop()
    thread.join(60)
    made = len(run.snapshot.generations)
    assert run.snapshot.status is Status.STOPPED and 2 <= made < 4
    run.enqueue(0)
    run.work()
    assert run.snapshot.status is Status.DONE
    assert lender.calls[-1][2] == 3


def test_a_problem_in_the_worker_arrives_with_its_sentence(begun, ledger):
    (begun / "private" / "source.json").write_text('{"path": "/nowhere"}')
    run = Run(begun, ledger, driver=on_loan(Kept()))
    run.enqueue(0)
    run.work()
    assert run.snapshot.status is Status.FAILED
    assert "nowhere" in run.snapshot.error or "There is no" in run.snapshot.error
    assert pickle.loads(pickle.dumps(Failed(RunError("a sentence")))).error.args == ("a sentence",)


def test_a_gpu_that_is_taken_back_leaves_a_run_to_resume(begun, ledger):
    def cut_off(*given):
        yield from list(one_generation(*given))[:1] if given[2] < 1 else []

    with pytest.raises(RunError, match="taken back before generation 1"):
        list(on_loan(cut_off)(RunFolder(begun), ledger))
    run = Run(begun, ledger)
    run.enqueue(0)
    run.work()
    assert run.snapshot.status is Status.DONE


def test_the_time_that_is_asked_for_follows_what_was_measured(begun, ledger):
    kept = Kept()
    list(on_loan(kept)(RunFolder(begun), ledger))
    assert [seconds for *_, seconds in kept.calls] == [120.0, 120.0, 30.0, 30.0]


REAL = """
import os, sys
os.environ |= {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9"}
sys.modules["torch"] = None  # what spaces changes in it needs one that was built for CUDA
import spaces
del sys.modules["torch"]
from gradio.context import LocalContext
from spaces.zero import client, wrappers
from spaces.zero.api import ScheduleResponse
from pathlib import Path
asked = []
def schedule(task_id, request=None, duration=None, gpu_size=None):
    asked.append((request, duration))
    return ScheduleResponse(
        idle=False, nvidiaIndex=0, nvidiaUUID="0", allowToken="t"
    )
client.schedule, client.release = schedule, lambda *a, **k: None
wrappers.worker_init = lambda **_: None
from pe_engine.ui.house import SHARED
from pe_engine.ui.lent_gpu import lent
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run
house = lent(SHARED)
assert house.keeps_features and "lent" in house.notices[-1]
run = Run(Path(sys.argv[1]), Ledger(Path(sys.argv[2])), driver=house.driver)
LocalContext.request.set("the visitor's request")
run.enqueue(0)
LocalContext.request.set(None)
from threading import Thread
thread = Thread(target=run.work)
thread.start()
thread.join()
print(run.snapshot.status.value, run.snapshot.error, len(run.snapshot.generations))
print(asked[0][0], [int(duration.total_seconds()) for _, duration in asked])
"""


@forking
def test_with_the_package_that_a_space_has(begun, home, ledger):
    pytest.importorskip("spaces")
    ran = subprocess.run(
        [sys.executable, "-c", REAL, str(begun), str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    said = [line for line in ran.stdout.splitlines() if "DEBUG" not in line]
    assert said[-2:] == [
        "done  4",
        "the visitor's request [120, 120, 30, 30]",
    ], ran.stdout + ran.stderr
