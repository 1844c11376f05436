"""``python -m pe_engine audit``: all audits, and their table."""

from __future__ import annotations

import os
import platform
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import numpy as np

from pe_engine import __version__, release
from pe_engine.audit import calibration, canaries, committed, gate, noise, replay
from pe_engine.audit.finding import Finding
from pe_engine.bench.machine import processor

HEADS = ("Audit", "What was checked", "Measured", "Bound", "Outcome")
PACKAGES = ("numpy", "opendp", "dp-accounting", "faiss-gpu", "faiss-cpu", "torch", "pillow")
FAULT = 1


def run(full: bool, halve_noise: bool, coins: int | None) -> int:
    """Carry out the audits in a temporary folder, print the table, and return the exit code.

    Args:
        full: the whole matrix of record and replay, and the mutants.
        halve_noise: audit a mechanism that draws with half the right σ, to see who notices.
        coins: seed of the canaries' coins; None for one of the system's.
    """
    coins = secrets.randbits(32) if coins is None else coins
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pe-audit-") as work, half_noise(halve_noise):
        findings = _told(all_findings(Path(work), full, halve_noise, coins))
    print(table(findings, halve_noise))
    print(f"\n{_where(coins)}; {time.monotonic() - begun:.0f} s.")
    wrong = [f for f in findings if not is_good(f, halve_noise)]
    print(_verdict(len(findings), len(wrong), halve_noise))
    return FAULT if wrong else 0


def is_good(finding: Finding, halve_noise: bool) -> bool:
    """As it should be: it held, or half the noise was noticed where that is claimed."""
    if halve_noise:
        return not finding.held or not finding.sees_half_noise
    return finding.held


def table(findings: Sequence[Finding], halve_noise: bool) -> str:
    """The findings as a table in Markdown."""
    rows = [(f.audit, f.checked, f.figure, f.bound, _outcome(f, halve_noise)) for f in findings]
    lines = [HEADS, ["---"] * len(HEADS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _outcome(finding: Finding, halve_noise: bool) -> str:
    if not halve_noise:
        return "holds" if finding.held else "**DOES NOT HOLD**"
    if finding.sees_half_noise:
        return "**MISSED**" if finding.held else "noticed, as claimed"
    return "no claim to notice" if finding.held else "noticed, without a claim"


def _verdict(findings: int, wrong: int, halve_noise: bool) -> str:
    if halve_noise:
        return (
            f"{wrong} of the checks that claim to notice half of the right σ missed it."
            if wrong
            else "Half of the right σ: noticed by every check that claims to."
        )
    return f"{wrong} of {findings} checks do not hold." if wrong else f"All {findings} checks hold."


def all_findings(work: Path, full: bool, halve_noise: bool, coins: int) -> Iterator[Finding]:
    yield from noise.audit(work / "noise")
    yield from calibration.audit(work / "calibration")
    yield from canaries.audit(work / "canaries", coins)
    yield from committed.audit(work / "ledger")
    yield from replay.audit(work / "replay", replay.ALL if full else replay.SOME)
    if full and not halve_noise:
        yield from gate.audit(work / "mutants")


@contextmanager
def half_noise(really: bool) -> Iterator[None]:
    """While open, noise is drawn with half the σ that was planned, if ``really``."""
    right = release.discrete_gaussian

    def halved(counts: np.ndarray, noise_multiplier: float) -> np.ndarray:
        return right(counts, noise_multiplier / 2)

    with patch.object(release, "discrete_gaussian", halved if really else right):
        yield


def _told(findings: Iterable[Finding]) -> list[Finding]:
    """All of them, each told on stderr as it comes."""
    listed = []
    for finding in findings:
        listed.append(finding)
        print(f"{len(listed):3} {finding.audit}: {finding.checked}", file=sys.stderr, flush=True)
    return listed


def _where(coins: int) -> str:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return (
        f"Private Evolution Studio {__version__}, Python {platform.python_version()}, "
        f"{', '.join(versions)}; {platform.system()}, {processor()}, {os.cpu_count()} cores; "
        f"coins {coins}"
    )
