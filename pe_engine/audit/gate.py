"""The audits' own audit: each mutant of the package must be noticed, and the package itself not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

import pe_engine
from pe_engine.audit import probe
from pe_engine.audit.finding import Finding
from pe_engine.audit.forks import ONE_THREAD, SECONDS, Ended, Forks
from pe_engine.audit.mutants import MUTANTS, Edit, Mutant

AUDIT = "mutants"
PACKAGE = Path(pe_engine.__file__).parent
PROCESSES = 2

Launch = Callable[[Path, Sequence[str]], Ended]
"""Audits of the copy in a folder, by the arguments of ``probe``."""


def audit(work: Path, mutants: Sequence[Mutant] = MUTANTS) -> Iterator[Finding]:
    """That nothing is noticed in the package itself, and in each mutant what should be; two at a
    time, each in a process of its own."""
    with launchers() as launch, ThreadPoolExecutor(PROCESSES) as pool:
        clean = pool.submit(try_unchanged, work / "unchanged", launch)
        tried = [pool.submit(try_mutant, work / str(i), m, launch) for i, m in enumerate(mutants)]
        for one in (clean, *tried):
            yield one.result()


@contextmanager
def launchers() -> Iterator[Launch]:
    """While open, a function that launches audits, as many at once as ``PROCESSES``."""
    if not hasattr(os, "fork"):
        yield launch_alone
        return
    with ExitStack() as stack:
        free: SimpleQueue[Forks] = SimpleQueue()
        for _ in range(PROCESSES):
            free.put(stack.enter_context(Forks()))

        def launch(here: Path, arguments: Sequence[str]) -> Ended:
            forks = free.get()
            try:
                return forks.launch(here, arguments)
            finally:
                free.put(forks)

        yield launch


def launch_alone(here: Path, arguments: Sequence[str]) -> Ended:
    """``probe`` of the copy in ``here``, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pe_engine.audit.probe", *arguments],
        cwd=here,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(here)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def try_unchanged(here: Path, launch: Launch) -> Finding:
    """No audit notices anything in a copy of the package in the new folder ``here``."""
    make(here, ())
    noticed = [what for what, _ in run_audits(launch, here, "", *probe.AUDITS)]
    figure = "; ".join(noticed) or "nothing noticed"
    return Finding(AUDIT, "the package as it is", figure, "nothing noticed", not noticed)


def try_mutant(here: Path, mutant: Mutant, launch: Launch) -> Finding:
    """The check that must notice it does so, in a copy of the package in the new folder ``here``.

    Raises:
        ValueError: an edit does not fit the source any more.
        RuntimeError: the audit broke down, which is not to notice anything.
    """
    make(here, mutant.edits)
    failed = run_audits(launch, here, mutant.check, mutant.audit)
    figures = [said for what, said in failed if mutant.check in what]
    return Finding(
        AUDIT,
        mutant.name,
        figures[0] if figures else "not noticed",
        f"noticed by {mutant.audit}: {mutant.check}",
        bool(figures),
    )


def make(here: Path, edits: Sequence[Edit]) -> None:
    """A copy of the package with these edits, in ``here/pe_engine``."""
    shutil.copytree(PACKAGE, here / "pe_engine", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        edit.apply(here / "pe_engine")


def run_audits(launch: Launch, here: Path, check: str, *audits: str) -> list[tuple[str, str]]:
    """What was checked, and measured, by the checks that do not hold in the copy in ``here``, each
    audit up to one that says ``check``."""
    done = launch(here, [str(here / "work"), check, *audits])
    if done.code:
        raise RuntimeError(f"the audits {', '.join(audits)} broke down:\n{done.errors[-2000:]}")
    return [(what, said) for what, said in json.loads(done.output)]
