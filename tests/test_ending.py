"""How a process ends: with threads of runs that end in time, and with one that hangs."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from pe_engine import ending

ending.JOIN_SECONDS = {seconds}
released = threading.Event()

def work():
    {work}
    print("ended", flush=True)

ending.RunThread(work, "a run").start()
print("unflushed", end=" ")
threading.Timer(0.2, released.set).start()
ending.end_process(7)
"""


@pytest.mark.parametrize(
    ("seconds", "work", "said"),
    [
        (60, "released.wait()", "unflushed ended\n"),
        (0.1, "threading.Event().wait()", "unflushed "),
    ],
    ids=["healthy", "hung"],
)
def test_a_run_that_ends_is_waited_for_and_one_that_hangs_is_not(seconds, work, said):
    program = PROGRAM.format(seconds=seconds, work=work)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, said, "")
