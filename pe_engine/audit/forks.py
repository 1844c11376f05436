"""Processes that have loaded all libraries, but nothing of this package, and audit a copy of it.

Loading the libraries takes longer than most audits. Run as a script, this file loads them, reads a
folder and the arguments of ``probe`` from each line of its input, and forks: the new process puts
the folder first in its path and so imports the copy that is there. What it prints goes to files in
the folder, and its exit code to the script's output.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

SECONDS = 240
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LIBRARIES = (
    "numpy",
    "PIL.Image",
    "scipy.stats",
    "faiss",
    "opendp.prelude",
    "dp_accounting.pld.privacy_loss_distribution",
    "matplotlib.figure",
    "jinja2",
    "filelock",
)
OUTPUT, ERRORS = "output.txt", "errors.txt"


@dataclass(frozen=True)
class Ended:
    """Exit code and what was printed."""

    code: int
    output: str
    errors: str


class Forks:
    """One such script; ends with its context."""

    def __enter__(self) -> Forks:
        self._script = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._script.communicate()

    def launch(self, here: Path, arguments: Sequence[str]) -> Ended:
        """Audit the copy in ``here``, and wait for it."""
        self._script.stdin.write(json.dumps([str(here), *arguments]) + "\n")
        self._script.stdin.flush()
        code = int(self._script.stdout.readline())
        output, errors = ((here / name).read_text(encoding="utf-8") for name in (OUTPUT, ERRORS))
        return Ended(code, output, errors)


def _serve() -> None:
    sys.path.pop(0)  # this folder, whose modules are no libraries
    for name in LIBRARIES:
        import_module(name)
    for line in sys.stdin:
        here, *arguments = json.loads(line)
        child = os.fork()
        if not child:
            _audit(here, arguments)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _audit(here: str, arguments: Sequence[str]) -> None:
    """In the new process, which ends here whatever happens."""
    code = 1
    try:
        signal.alarm(SECONDS)
        os.chdir(here)
        os.environ["PYTHONPATH"] = here
        sys.path.insert(0, here)
        for name, stream in ((OUTPUT, sys.stdout), (ERRORS, sys.stderr)):
            file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(file, stream.fileno())
        code = import_module("pe_engine.audit.probe").main(arguments)
    finally:
        if code:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
