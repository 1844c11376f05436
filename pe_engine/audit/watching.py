"""Everything that anybody but the owner can see of a run, and what the generator is asked.

Clocks stand still and the run's id is given, so that two runs can be compared byte for byte. The
private images are read, and vote, four at a time: so one image more is one batch more.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from pe_engine import boundary, release, runner, voting
from pe_engine.audit import provider
from pe_engine.audit.neighbours import MAGENTA
from pe_engine.audit.running import write_zip
from pe_engine.components import generator_class
from pe_engine.config import RunConfig
from pe_engine.embedders.pixels import Pixels
from pe_engine.errors import PEError
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run, Snapshot
from pe_engine.starting import start_run

RUN_ID = "0123456789abcdef" * 2
BATCH = 4
RELEASED = ("samples.npz", "manifest.json", "report.html", "synthetic.zip")
ASKED = ("random", "vary", "adopt", "enter", "render")

Noise = Callable[[np.ndarray, float], np.ndarray]


@dataclass
class Frozen:
    """Stands where the noise is added: draws and keeps, or gives out again what was kept.

    Attributes:
        votes: noisy votes to give out again, in order; None to draw.
        clean, noisy: what came in and what went out, int64 ``(N,)`` each time.
    """

    noise: Noise
    votes: list[np.ndarray] | None = None
    clean: list[np.ndarray] = field(default_factory=list)
    noisy: list[np.ndarray] = field(default_factory=list)

    def __call__(self, counts: np.ndarray, noise_multiplier: float) -> np.ndarray:
        drawn = (
            self.noise(counts, noise_multiplier)
            if self.votes is None
            else self.votes[len(self.clean)].copy()
        )
        self.clean.append(counts.copy())
        self.noisy.append(drawn)
        return drawn


@dataclass(frozen=True)
class Seen:
    """What was seen, by the name of the thing; and all snapshots, for further views of them."""

    things: Mapping[str, bytes]
    snapshots: tuple[Snapshot, ...]


class _Watched(Run):
    """A run that keeps every snapshot it publishes."""

    def __init__(self, *arguments: Any) -> None:
        self.published: list[Snapshot] = []
        super().__init__(*arguments)

    def _publish(self, **changes: object) -> None:
        super()._publish(**changes)
        self.published.append(self.snapshot)


def watch(folder: Path, config: RunConfig, files: Mapping[str, bytes], frozen: Frozen) -> Seen:
    """Run on a zip of these files in the new folder ``folder``, and see what comes out."""
    folder.mkdir(parents=True)
    source = write_zip(folder / "images.zip", files)
    calls, said = [], io.StringIO()
    with ExitStack() as stack:
        for change in _changes(config, frozen, calls):
            stack.enter_context(change)
        stack.enter_context(_heard(said))
        ledger = Ledger(folder / "home")
        try:
            dataset = start_run(folder / "out", config, source, ledger, run_id=RUN_ID)
        except PEError as error:
            return Seen({"refused": repr(error).encode()}, ())
        run = _Watched(folder / "out", ledger, dataset)
        run.enqueue(0)
        run.work()
    things = {
        "views of the run": _views(run.published),
        "calls to the generator": "\n".join(calls).encode(),
        "log": said.getvalue().replace(str(folder), "FOLDER").encode(),
        **_files(run, config),
    }
    return Seen(things, tuple(run.published))


def _views(published: list[Snapshot]) -> bytes:
    """What somebody sees who looks at the run all the time and is not its owner."""
    views: list[str] = []
    for snapshot in published:
        view = repr(boundary.shown(snapshot, owner=False))
        if view not in views[-1:]:
            views.append(view)
    return "\n".join(views).encode()


def _files(run: Run, config: RunConfig) -> dict[str, bytes]:
    things = {}
    for name in RELEASED:
        path = run.folder / name
        things[name] = path.read_bytes() if path.is_file() else b"missing"
    if run.zip_path.is_file():
        with zipfile.ZipFile(run.zip_path) as archive:
            for member in archive.namelist():
                things[f"synthetic.zip/{member}"] = archive.read(member)
    for path in sorted((run.folder / "generations").glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                things[f"generation {path.stem}, {name}"] = _bytes(arrays[name])
    for t in range(1, config.iterations + 1):
        things[f"noisy votes {t}"] = _bytes(run.noisy_votes(t))
    return things


# What is changed to see it --------------------------------------------------------------------


def _changes(config: RunConfig, frozen: Frozen, calls: list[str]) -> Iterator[Any]:
    yield patch.object(release, "discrete_gaussian", frozen)
    yield patch.object(release, "READ_BATCH", BATCH)
    yield patch.object(voting, "QUERY_BATCH", BATCH)
    yield patch.object(runner, "time", SimpleNamespace(monotonic=lambda: 0.0))
    yield patch.object(Pixels, "embed", _without_magenta(Pixels.embed))
    kind = generator_class(config.generator)
    if config.generator == provider.NAME:
        yield from provider.answered_here(lambda said: calls.append(f"request {_digest(said)}"))
    for name in ASKED:
        yield patch.object(kind, name, _told(name, getattr(kind, name), calls))


def _without_magenta(embed: Callable) -> Callable:
    def embedded(self: Pixels, images: Any) -> np.ndarray:
        features = embed(self, images)
        if isinstance(images, np.ndarray):
            features[(images == MAGENTA).all(axis=(1, 2, 3))] = np.nan
        return features

    return embedded


def _told(name: str, method: Callable, calls: list[str]) -> Callable:
    """The same method, telling each call: what it was given, and what it drew."""

    def told(self: Any, *given: Any, **named: Any) -> Any:
        before = _digest([given, named])
        answer = method(self, *given, **named)
        calls.append(f"{name} {before} {_digest([given, named])}")
        return answer

    return told


@contextmanager
def _heard(said: io.StringIO) -> Iterator[None]:
    """What is printed or logged is written to ``said``."""
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            yield
    finally:
        root.removeHandler(handler)


def _digest(value: Any) -> str:
    return hashlib.sha256(_bytes(value)).hexdigest()[:16]


def _bytes(value: Any) -> bytes:
    """Arguments of a call as bytes that are equal for equal ones."""
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state).encode()
    if isinstance(value, Mapping):
        return b"".join(name.encode() + _bytes(value[name]) for name in sorted(value))
    if isinstance(value, (list, tuple)):
        return b"(" + b",".join(map(_bytes, value)) + b")"
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    return repr(value).encode()
