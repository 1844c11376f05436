"""Whole runs by the command line, paid for by the call, with a third of the calls failing."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pe_engine.runner import Run
from pe_engine.snapshot import Status
from pe_engine.starting import start_run
from tests.conftest import ROOT
from tests.generators.image_server import KEY, KINDS, ImageServer, Reply, address

AT_ONCE = 12
QUICK = ["--image-size", "28", "--iterations", "3", "--num-samples", "12", "--lookahead", "1"]


def test_a_run_that_is_killed_and_resumed_makes_no_call_twice(tmp_path, digits):
    with ThreadPoolExecutor() as pool:  # side by side: they mostly wait
        for done in [pool.submit(killed_and_resumed, k, tmp_path / k, digits) for k in KINDS]:
            done.result()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("customer")
def test_a_stop_does_not_wait_as_long_as_the_service_asks(
    kind, tmp_path, config, digits, ledger, server
):
    """It ends within a wait of 100 seconds, in look-ahead; a resume asks for nothing twice."""
    busy = threading.Event()

    def limited(asked):
        if len(server.answered) < 14:
            return None
        busy.set()
        return Reply(429, headers={"Retry-After": "100"})

    server.special = limited
    options = address(kind, server) | {"concurrency": 2}
    sizes = {"image_size": 28, "num_samples": (10,), "iterations": 2, "lookahead": 1}
    start_run(
        tmp_path / "out",
        replace(config, generator=kind, generator_options=options, **sizes),
        digits,
        ledger,
    )
    run = Run(tmp_path / "out", ledger)
    run.start()
    assert busy.wait(60)
    run.stop()
    stopped = run.wait(60)
    assert (stopped.status, stopped.error) == (Status.STOPPED, "")
    (told,) = ledger.datasets()
    assert (told.generations, told.reserved) == (0, 0)
    answered = len(server.answered)
    assert len(list((tmp_path / "out" / "generator").glob("*.png"))) == answered
    server.special = lambda asked: None
    run.start()
    assert run.wait(60).status is Status.DONE, run.snapshot.error
    assert len(server.answered) > answered
    assert set(server.answered.values()) == {1}


def killed_and_resumed(kind, folder, digits):
    """Three generations in two processes, the first of which is killed."""
    with ImageServer(faults=0.3, pause=0.02, hang=0.6) as server:
        home = {"PE_HOME": str(folder / "home"), "OPENAI_API_KEY": KEY, "HF_TOKEN": KEY}
        how = {"cwd": ROOT, "env": os.environ | home, "text": True}
        how |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        said = begin_and_kill(kind, folder, digits, server, how)
        answers = folder / "out" / "generator"
        stored = {file.stem for file in answers.glob("*.png")}
        before = len(server.asked)
        assert stored
        assert len(set(server.answered) - stored) <= AT_ONCE  # they were under way

        resume = [sys.executable, "-m", "pe_engine", "resume", str(folder / "out")]
        resumed = subprocess.run(resume, **how, check=False)
        assert resumed.returncode == 0, resumed.stdout
        asked_later = {asked.key for asked in server.asked[before:]}
        assert asked_later
        assert not asked_later & stored
        assert len([k for k, times in server.answered.items() if times > 1]) <= AT_ONCE
        assert set(server.answered) == {file.stem for file in answers.glob("*.png")}
        assert len(server.failed) >= 4  # kinds of failure
    check_release(folder / "out" / "synthetic.zip")
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert not any(KEY.encode() in file.read_bytes() for file in files)
    assert KEY not in said + resumed.stdout


def begin_and_kill(kind, folder, digits, server, how):
    """What a run says that is killed in the middle of its first look-ahead."""
    run = [sys.executable, "-m", "pe_engine", "run", digits, "--output", folder / "out", *QUICK]
    options = address(kind, server) | {"concurrency": AT_ONCE, "timeout": 0.4}
    run += ["--generator", kind]
    run += [part for item in options.items() for part in ("--option", "{}={}".format(*item))]
    process = subprocess.Popen(list(map(str, run)), **how)
    while len(server.answered) < 16 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL, said
    return said


def check_release(path):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}  # checks their CRC
    files = json.loads(content.pop("manifest.json"))["files"]
    assert {n: hashlib.sha256(data).hexdigest() for n, data in content.items()} == {
        name: entry["sha256"] for name, entry in files.items()
    }
