"""The table of faults: ``python -m tests.durability.table`` prints it; it takes some minutes.

Progress goes to stderr. ``tests/durability/README.md`` holds a table that it printed.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.conftest import ROOT
from tests.durability import full_disk, kills
from tests.durability.clocks import set_clocks
from tests.durability.faults import Broken, Full
from tests.durability.memory import out_of_memory
from tests.durability.power import power_cuts
from tests.durability.races import races
from tests.durability.scene import Scene, private_images
from tests.durability.sweeps import Tally, nth_faults, scenes

KILLS = 201
RACES = 1000
VARIANTS = [{"upload": u, "keep_features": k} for u in (False, True) for k in (False, True)]
BY_PYTEST = {
    "a provider that fails 30 % of calls, and a killed run of each": [
        "tests/generators/test_paid_runs.py"
    ],
    "a model that hangs (generator or embedder), stopped by page or Ctrl-C": [
        "tests/durability/test_hangs.py"
    ],
}


def main() -> int:
    """Print the table; 1 if anything was lost."""
    started = time.monotonic()
    rows = []
    for tally in _tallies():
        rows.append(tally)
        print(f"{_row(tally)}  {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        print(*tally.lost, sep="\n", file=sys.stderr)
    minutes = (time.monotonic() - started) / 60
    print("| kind | tried | survived | lost |", "|---|---:|---:|---:|", sep="\n")
    print(*map(_row, rows), sep="\n")
    machine = f"{os.cpu_count()} cores, no GPU, {platform.system()}, Python"
    print(f"\n{machine} {platform.python_version()}; {minutes:.0f} minutes.")
    return int(any(tally.lost for tally in rows))


def _row(tally: Tally) -> str:
    lost = len(tally.lost)
    return f"| {tally.kind} | {tally.tried:,} | {tally.tried - lost:,} | {lost} |"


def _tallies() -> Iterable[Tally]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        private = private_images(folder / "private")
        for fault, kind in (
            (Broken, "I/O error at the n-th operation, every n"),
            (Full, "disk full from the n-th operation on, every n"),
        ):
            yield _joined(
                kind,
                lambda i, how, fault=fault: nth_faults(
                    "", fault, scenes(folder / fault.__name__ / str(i), private, **how)
                ),
            )
        yield _joined(
            "power cut before the n-th operation, what is not synced is gone",
            lambda i, how: power_cuts(
                Scene(folder / f"power{i}", private, **how), folder / f"cuts{i}", every=1
            ),
        )
        killed = kills.run_apart(every=1, at_random=KILLS)
        for kind in dict.fromkeys(tally.kind for tally in killed):
            yield _sum(kind, [tally for tally in killed if tally.kind == kind])
        real = full_disk.run_apart(pages=1)
        if real:
            yield real
        yield full_disk.with_small_files(scenes(folder / "small", private), step=512)
        yield out_of_memory(scenes(folder / "memory", private))
        yield set_clocks(scenes(folder / "clock", private, upload=True))
        yield races(folder / "races", RACES)
    for kind, paths in BY_PYTEST.items():
        yield _by_pytest(kind, paths)


def _joined(kind: str, one: Callable[[int, dict[str, bool]], Tally]) -> Tally:
    """The sum over all variants of the run."""
    return _sum(kind, [one(i, how) for i, how in enumerate(VARIANTS)])


def _sum(kind: str, tallies: list[Tally]) -> Tally:
    lost = [sentence for tally in tallies for sentence in tally.lost]
    return Tally(kind, sum(tally.tried for tally in tallies), lost)


def _by_pytest(kind: str, paths: list[str]) -> Tally:
    """One try for each test."""
    command = [sys.executable, "-m", "pytest", "--tb=no", "-rN", "-v", *paths]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    passed = sum(" PASSED" in line for line in run.stdout.splitlines())
    failed = [line for line in run.stdout.splitlines() if " FAILED" in line]
    if run.returncode and not failed:
        failed = [f"pytest ended with {run.returncode} after {passed} tests"]
    return Tally(kind, passed + len(failed), failed)


if __name__ == "__main__":
    sys.exit(main())
