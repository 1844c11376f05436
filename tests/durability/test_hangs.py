"""A hung model: a stop is answered all the same, and what hangs can do nothing when it wakes up."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from pe_engine.config import RunConfig
from pe_engine.embedders.pixels import Pixels
from pe_engine.errors import RunError
from pe_engine.jobs import JobManager
from pe_engine.runner import GIVEN_UP, GRACE_SECONDS, Run
from pe_engine.snapshot import Status
from pe_engine.starting import start_run
from tests.conftest import ROOT
from tests.durability.hangs import Gate, Hanging
from tests.durability.scene import private_images

ANSWERED = 30  # seconds; the promise is 5, and a busy machine decides no test
CONFIG = RunConfig(
    dataset_name="hangs",
    generator="tests.durability.hangs:Hanging",
    iterations=2,
    num_samples=(6,),
    lookahead=1,
    epsilon=5.0,
    image_size=8,
    device="cpu",
    keep_features=True,
)

HEEDS_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from pe_engine.cli import main
sys.exit(main())
"""


@pytest.fixture
def private(tmp_path):
    return private_images(tmp_path / "private") / "images"


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(Hanging, "gate", gate)
    monkeypatch.setattr("pe_engine.runner.GRACE_SECONDS", 0.3)
    yield gate
    gate.opened.set()


@pytest.fixture(params=["random", "vary", "close", "embed"])
def hanging(request, gate, monkeypatch):
    """Where it hangs."""
    monkeypatch.setattr(Hanging, "hangs_in", request.param)
    embed = Pixels.embed

    def slow(self, images):
        if not gate.reached.is_set():
            gate.wait()
        return embed(self, images)

    if request.param == "embed":
        monkeypatch.setattr(Pixels, "embed", slow)
    return request.param


def content(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def until(condition):
    deadline = time.monotonic() + ANSWERED
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_hung_run_is_given_up_and_goes_on_once_its_call_is_back(
    hanging, gate, tmp_path, private, ledger
):
    start_run(tmp_path / "out", CONFIG, private, ledger)
    run = Run(tmp_path / "out", ledger)
    run.start()
    assert gate.reached.wait(60)
    run.stop()
    told = run.wait(ANSWERED)
    assert (told.status, told.error) == (Status.STOPPED, GIVEN_UP)
    assert [entry.reserved for entry in ledger.datasets()] == [0]
    with pytest.raises(RunError, match="once that call has come back"):
        run.start()

    elsewhere = Run(tmp_path / "out", ledger)  # as another process would
    elsewhere.start()
    assert "driven by another process" in elsewhere.wait(60).error

    before = content(tmp_path / "out")
    committed = ledger.datasets()[0].generations
    gate.opened.set()
    until(lambda: run.snapshot.error == "")
    assert content(tmp_path / "out") == before
    assert ledger.datasets()[0].generations == committed
    run.start()
    assert run.wait(60).status is Status.DONE
    assert [(e.generations, e.reserved) for e in ledger.datasets()] == [(2, 0)]


def test_the_grace_is_short():
    assert GRACE_SECONDS < 5


def test_a_stop_that_is_heard_gives_nothing_up(gate, tmp_path, private, ledger, monkeypatch):
    start_run(tmp_path / "out", CONFIG, private, ledger)
    run = Run(tmp_path / "out", ledger)
    gate.reached.set()  # nothing hangs
    run.start()
    run.stop()
    assert run.wait(60).error == ""
    if run.snapshot.status is not Status.DONE:
        run.start()  # the grace of the first stop ends while it goes on
        assert run.wait(60).status is Status.DONE


def test_the_queue_goes_on_without_a_hung_run(gate, home, private):
    jobs = JobManager(home)
    try:
        hung = jobs.submit(CONFIG, private)
        other = replace(CONFIG, generator="tests.durability.stub:Dots")
        following = jobs.submit(other, private)
        assert gate.reached.wait(60)
        jobs.stop(hung.run_id)
        assert following.wait(60).status is Status.DONE
        assert hung.snapshot.error == GIVEN_UP
    finally:
        jobs.close()


def test_a_hung_run_does_not_keep_the_page_from_ending(gate, home, private):
    jobs = JobManager(home)
    jobs.submit(CONFIG, private)
    assert gate.reached.wait(60)
    closing = threading.Thread(target=jobs.close)
    closing.start()
    closing.join(ANSWERED)
    assert not closing.is_alive()
    assert all(t.daemon for t in threading.enumerate() if t is not threading.main_thread())


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_hung_command(times, tmp_path, private, home, ledger):
    """Once: after the grace. Twice: at once."""
    command = [sys.executable, "-c", HEEDS_CTRL_C, "run", str(private)]
    command += ["--output", str(tmp_path / "out"), "--generator", CONFIG.generator]
    command += ["--image-size", "8", "--num-samples", "6", "--iterations", "2", "--epsilon", "5"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (tmp_path / "out" / "generations" / "0000.npz").exists())
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        try:
            told = process.communicate(timeout=ANSWERED)[1]
        finally:
            process.kill()
    assert process.returncode == 130, told
    assert "Go on with" in told
    assert [entry.reserved for entry in ledger.datasets()] == [0]
