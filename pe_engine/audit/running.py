"""One real run in a temporary home: ``start_run``, ``Run`` and the ledger, as everywhere else."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pe_engine.config import RunConfig
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run, Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder


class AuditError(Exception):
    """An audit could not be carried out, which says nothing about what it was to check."""


@dataclass(frozen=True)
class Done:
    """A finished run.

    Attributes:
        header: its settings, σ and claimed ε.
        manifest: of its release.
        noisy_votes: int64 ``(T, N)``, read back from the ledger.
    """

    header: Header
    manifest: Mapping[str, Any]
    noisy_votes: np.ndarray


def png(pixels: np.ndarray) -> bytes:
    """uint8 ``(H, W, 3)`` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """A zip of these files; names that end in "/" are folders."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def finish(folder: Path, config: RunConfig, files: Mapping[str, bytes]) -> Done:
    """Run on a zip of these files, in the new folder ``folder``, to the end.

    Raises:
        AuditError: the run failed.
        PEError: it could not start.
    """
    folder.mkdir(parents=True)
    ledger = Ledger(folder / "home")
    out = folder / "out"
    dataset = start_run(out, config, write_zip(folder / "images.zip", files), ledger)
    run = Run(out, ledger, dataset)
    run.enqueue(0)
    run.work()
    if run.snapshot.status is not Status.DONE:
        raise AuditError(f"A run of the audit did not end well: {run.snapshot.error}")
    votes = [ledger.noisy_votes(run.run_id, t) for t in range(1, config.iterations + 1)]
    if any(v is None for v in votes):
        raise AuditError("The ledger does not hold the noisy votes of a finished run.")
    return Done(
        Header.from_json(RunFolder(out).read_header()),
        json.loads((out / "manifest.json").read_text(encoding="utf-8")),
        np.stack(votes),
    )
