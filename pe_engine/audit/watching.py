"""Everything that anybody but the owner can see of a run, and what the generator is asked.

The run's id is given, and the clock goes on only with what neighbours have in common: one second
for each call to the generator, and one when the first private images have been read. So two runs
can be compared byte for byte. The private images are read, and vote, four at a time: so one image
more is one batch more.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from pe_engine import boundary, release, runner, voting
from pe_engine.audit import provider
from pe_engine.audit.neighbours import MAGENTA
from pe_engine.audit.running import AuditError, write_zip
from pe_engine.components import generator_class
from pe_engine.config import RunConfig
from pe_engine.embedders.pixels import Pixels
from pe_engine.errors import PEError
from pe_engine.events import Phase
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run, Snapshot, Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder

RUN_ID = "0123456789abcdef" * 2
BATCH = 4
OF_OWNER = ("home", "images.zip", "out/private", "out/lock")
"""What lies beside the run or in it and is the owner's alone."""

PATIENCE = 60.0  # seconds for a run to stop, so that a busy machine gives none up
ASKED = ("random", "vary", "adopt", "enter", "render")

Noise = Callable[[np.ndarray, float], np.ndarray]


@dataclass
class Frozen:
    """Stands where the noise is added: draws and keeps, or gives out again what was kept.

    Attributes:
        votes: noisy votes to give out again, in order; None to draw.
        clean, noisy: what came in and what went out, int64 ``(N,)`` each time.
        asked: with which σ.
    """

    noise: Noise
    votes: list[np.ndarray] | None = None
    clean: list[np.ndarray] = field(default_factory=list)
    noisy: list[np.ndarray] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    def __call__(self, counts: np.ndarray, noise_multiplier: float) -> np.ndarray:
        drawn = (
            self.noise(counts, noise_multiplier)
            if self.votes is None
            else self.votes[len(self.clean)].copy()
        )
        self.asked.append(noise_multiplier)
        self.clean.append(counts.copy())
        self.noisy.append(drawn)
        return drawn


class Interruption(str, Enum):
    """What happens to a run before it is resumed."""

    NONE = "never stopped"
    READING = "stopped while reading"
    RELEASED = "stopped after the first votes"
    FAULT = "failed while reading"


@dataclass(frozen=True)
class Seen:
    """What was seen.

    Attributes:
        things: by the name of the thing.
        snapshots: all, for further views of them.
        header: what the run was to do; None if it was refused.
    """

    things: Mapping[str, bytes]
    snapshots: tuple[Snapshot, ...]
    header: Header | None


class _Watched(Run):
    """A run that keeps every snapshot in ``published``, and is stopped at one of them."""

    def __init__(
        self, published: list[Snapshot], interruption: Interruption, *arguments: Any
    ) -> None:
        self._published = published
        self._interruption = interruption
        super().__init__(*arguments)
        published.append(self.snapshot)

    def _publish(self, **changes: object) -> None:
        super()._publish(**changes)
        now = self.snapshot
        self._published.append(now)
        reading = now.phase is Phase.PRIVATE and now.phase_fraction > 0
        if (self._interruption is Interruption.READING and reading) or (
            self._interruption is Interruption.RELEASED and now.epsilon_spent > 0
        ):
            self._interruption = Interruption.NONE
            self.stop()


def watch(
    folder: Path,
    config: RunConfig,
    files: Mapping[str, bytes],
    frozen: Frozen,
    interruption: Interruption = Interruption.NONE,
) -> Seen:
    """Run on a zip of these files in the new folder ``folder``, and see what comes out."""
    folder.mkdir(parents=True)
    source = write_zip(folder / "images.zip", files)
    calls, said, published, things = [], io.StringIO(), [], {}
    with ExitStack() as stack:
        for change in _changes(config, frozen, calls, interruption):
            stack.enter_context(change)
        stack.enter_context(_heard(said))
        ledger, out = Ledger(folder / "home"), folder / "out"
        try:
            dataset = start_run(out, config, source, ledger, run_id=RUN_ID)
        except PEError as error:
            return Seen({"refused": repr(error).encode()}, (), None)
        run = _Watched(published, interruption, out, ledger, dataset)
        _drive(run)
        if run.snapshot.status is not Status.DONE:
            things = {f"{name} before it was resumed": seen for name, seen in _files(folder)}
            later = _Watched(published, Interruption.NONE, out, Ledger(folder / "home"))
            run = later if interruption is Interruption.RELEASED else run  # after a restart
            _drive(run)
        elif interruption is not Interruption.NONE:
            raise AuditError(f"A run of the audit was to be {interruption.value}, but was done.")
    things |= {
        "views of the run": _views(published),
        "calls to the generator": "\n".join(calls).encode(),
        "log": said.getvalue().replace(str(folder), "FOLDER").encode(),
        **dict(_files(folder)),
    }
    for t in range(1, config.iterations + 1):
        things[f"noisy votes {t}"] = _bytes(run.noisy_votes(t))
    return Seen(things, tuple(published), Header.from_json(RunFolder(out).read_header()))


def _drive(run: Run) -> None:
    run.enqueue(0)
    run.work()


def _views(published: list[Snapshot]) -> bytes:
    """What somebody sees who looks at the run all the time and is not its owner."""
    views: list[str] = []
    for snapshot in published:
        view = repr(boundary.shown(snapshot, owner=False))
        if view not in views[-1:]:
            views.append(view)
    return "\n".join(views).encode()


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files but the owner's, whatever they are called, and what is packed into them."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or any(f"{name}/".startswith(f"{own}/") for own in OF_OWNER):
            continue
        content = path.read_bytes()
        if name == "out/run.json":  # the ledger's identity is drawn at random
            header = {**json.loads(content), "ledger": ""}
            content = json.dumps(header).encode()
        yield name, content
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    yield f"{name}/{member}", archive.read(member)


# What is changed to see it --------------------------------------------------------------------


def _changes(
    config: RunConfig, frozen: Frozen, calls: list[str], interruption: Interruption
) -> Iterator[Any]:
    reader = _Reader(Pixels.embed, 2 if interruption is Interruption.FAULT else 0)
    yield patch.object(release, "discrete_gaussian", frozen)
    yield patch.object(release, "READ_BATCH", BATCH)
    yield patch.object(voting, "QUERY_BATCH", BATCH)
    yield patch.object(runner, "GRACE_SECONDS", PATIENCE)
    clock = SimpleNamespace(monotonic=lambda: float(len(calls) + (reader.batches > 0)))
    yield patch.object(runner, "time", clock)
    yield patch.object(Pixels, "embed", lambda self, images: reader.embed(self, images))
    kind = generator_class(config.generator)
    if config.generator == provider.NAME:
        yield from provider.answered_here(lambda said: calls.append(f"request {_digest(said)}"))
    for name in ASKED:
        yield patch.object(kind, name, _told(name, getattr(kind, name), calls))


@dataclass
class _Reader:
    """Stands where images become features. An image all of magenta gets none that are finite; at
    batch ``fault``, counted from 1, the disk fails once. Images are private first."""

    features: Callable
    fault: int
    batches: int = 0

    def embed(self, pixels: Pixels, images: Any) -> np.ndarray:
        self.batches += 1
        if self.batches == self.fault:
            raise OSError(errno.EIO, "Input/output error")
        features = self.features(pixels, images)
        if isinstance(images, np.ndarray):
            features[(images == MAGENTA).all(axis=(1, 2, 3))] = np.nan
        return features


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
