"""Ctrl-C on ``app.py`` while a run works: a clean end soon, and a run that goes on afterwards."""

import os
import signal
import subprocess
import sys

import pytest
from chromium import ROOT, START_SECONDS, free_port, wait_for
from over_http import Visitor
from test_isolation import QUICK, start, until

from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run, Status
from pe_engine.ui.owner_key import OwnerKey

LONG = QUICK | {"Iterations": "20", "Samples": "60"}
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")


@pytest.fixture
def page(tmp_path):
    """The page's process, in a group of its own as at a terminal, and its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--no-browser", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"PE_HOME": str(tmp_path), "PE_AUTH": ""},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    wait_for(address, process)
    yield process, address
    process.kill()
    process.wait(START_SECONDS)
    process.stderr.close()


@pytest.mark.parametrize("when", ["it has begun", "it makes images"])
def test_ctrl_c_ends_the_page_and_the_run_goes_on_later(page, tmp_path, when):
    process, address = page
    visitor = Visitor(address, entry=f"/?key={OwnerKey(tmp_path).value}")
    run_id = start(visitor, {"kind": "example"}, LONG)
    if when == "it makes images":
        until(lambda: visitor.http.get(f"/runs/{run_id}/gallery/1.json").is_success)
    visitor.http.close()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    run = Run(tmp_path / "runs" / run_id, Ledger(tmp_path))
    assert (run.snapshot.status, run.snapshot.error) == (Status.STOPPED, "")
    made = len(run.snapshot.generations)
    assert made >= 2 * (when == "it makes images")
    run.start()
    until(lambda: len(run.snapshot.generations) > made or run.snapshot.status.ended)
    assert run.snapshot.error == ""
    run.stop()
    run.wait(60)
