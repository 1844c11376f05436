"""One small run, made to go through whatever is done to it, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from pe_engine import plots, release, runner
from pe_engine.config import RunConfig
from pe_engine.errors import PEError
from pe_engine.events import VotesReleased
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run, Snapshot, Status
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder

IMAGES = 6
GENERATIONS = 2
CONNECT = sqlite3.connect  # not to be counted among the statements of the run
LEFT_BY_A_CRASH = (".part", ".new", ".deleted")


class Lost(AssertionError):
    """Something that may never happen has happened."""


@dataclass
class Scene:
    """A run in ``root / "out"`` with its ledger in ``root / "home"``.

    Its noise is no noise: draw k for generation t is always the same, so that the run's samples
    follow from how often each generation was drawn for.

    Attributes:
        private: holds the private images, away from ``root``.
        upload: they come as an upload, a zip in ``root / "uploads"`` that the run takes over.
        name: under which what was drawn is kept beside the private images.
        drawn_before: as if noise had been drawn so often already, by generation.
    """

    root: Path
    private: Path
    keep_features: bool = False
    upload: bool = False
    drawn_before: dict[int, int] = field(default_factory=dict)
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    generator: str = "tests.durability.stub:Dots"

    def __post_init__(self) -> None:
        if not self.root.exists():  # else it goes on from what is there
            self.root.mkdir(parents=True)
            if self.upload:
                self._drop()

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def dropped(self) -> Path:
        return self.root / "uploads" / "upload.zip"

    @property
    def config(self) -> RunConfig:
        return RunConfig(
            dataset_name="faults",
            generator=self.generator,
            iterations=GENERATIONS,
            num_samples=(6,),
            lookahead=1,
            epsilon=5.0,
            image_size=8,
            device="cpu",
            keep_features=self.keep_features,
        )

    # One life of the process ----------------------------------------------------------------------

    def live(self) -> Snapshot | str:
        """Start the run, or go on with it, to its end: what the owner is told at last."""
        with self.faked():
            try:
                ledger = Ledger(self.home)
                if not RunFolder(self.out).exists():
                    given = self.dropped if self.upload else self.private / "images"
                    start_run(self.out, self.config, given, ledger, upload=self.upload)
                run = Run(self.out, ledger)
                if run.snapshot.status is Status.DONE:
                    return run.snapshot
                run.enqueue(0)
                run.work()
            except PEError as error:
                return str(error)
            except OSError as error:  # as cli.main says it
                return str(error.strerror)
            return run.snapshot

    def recover(self) -> None:
        """What the owner does after a crash: go on, giving the images again if they are asked for.

        Raises:
            Lost: the run does not come to its end.
        """
        if self.out.exists():
            folder = RunFolder(self.out)
            if folder.needs_images and not (self.out / "synthetic.zip").exists():
                folder.adopt_source(self._again(), self.upload)
        elif self.upload and not self.dropped.is_file():
            raise Lost("the upload is gone, though there is no run that has it")
        told = self.live()
        if not isinstance(told, Snapshot) or told.status is not Status.DONE:
            raise Lost(f"the run did not go on: {getattr(told, 'error', told)}")

    def _again(self) -> Path:
        if self.upload:
            self._drop()
            return self.dropped
        return self.private / "images"

    def _drop(self) -> None:
        self.dropped.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.private / "images.zip", self.dropped)

    # What must hold ---------------------------------------------------------------------------

    def check_at_rest(self) -> None:
        """At any moment: no file is torn, nothing private lies about, and what is committed is
        whole."""
        for path in files_of(self.root):
            if not path.name.endswith(LEFT_BY_A_CRASH):
                check_whole(path)
        self._check_nothing_private_outside()
        for t, votes in self.committed().items():
            if not np.array_equal(votes, self.drawn[t][-1]):
                raise Lost(f"the committed votes of generation {t} are not those that were drawn")

    def check_untouched(self) -> None:
        """No run was made, so there is nothing of one."""
        left = [path.name for path in self.root.rglob("*") if path.name.endswith(LEFT_BY_A_CRASH)]
        if left:
            raise Lost(f"left by a start that failed: {left}")
        if self.upload and not self.dropped.is_file():
            raise Lost("the upload is gone, though there is no run that has it")
        if any(entry.reserved for entry in Ledger(self.home).datasets()):
            raise Lost("budget is reserved for a run that is not there")

    def check_at_end(self) -> None:
        """The run is done: everything is as if nothing had happened."""
        self.check_at_rest()
        left = [p.name for p in self.root.rglob("*") if p.name.endswith(LEFT_BY_A_CRASH)]
        if left:
            raise Lost(f"left lying about: {left}")
        if (self.out / "private").exists():
            raise Lost("the private zone is still there")
        if self.upload and self.dropped.exists():
            raise Lost("the upload is still there")
        (entry,) = Ledger(self.home).datasets()
        if (entry.generations, entry.reserved) != (GENERATIONS, 0):
            raise Lost(f"the ledger holds {entry}")
        if self.samples() != self.reference():
            raise Lost("the samples are others than those of a run without faults")

    def samples(self) -> bytes:
        return (self.out / "samples.npz").read_bytes()

    def reference(self) -> bytes:
        """samples.npz of a run that nothing happened to, with the same votes."""
        last = {t: len(votes) for t, votes in sorted(self.drawn.items())}
        kept = self.private / f"{self.generator.rpartition(':')[2]} {last}.npz"
        if not kept.exists():
            calm = Scene(self.private / secrets.token_hex(8), self.private)
            calm.generator = self.generator
            calm.drawn_before = {t: k - 1 for t, k in last.items()}
            calm.recover()
            kept.write_bytes(calm.samples())
        return kept.read_bytes()

    def committed(self) -> dict[int, np.ndarray]:
        """The noisy votes in the ledger, by generation."""
        if not (self.home / "ledger.sqlite").is_file():
            return {}
        with closing(CONNECT(self.home / "ledger.sqlite")) as db:
            try:
                rows = db.execute("SELECT generation, noisy_votes FROM releases").fetchall()
            except sqlite3.OperationalError:  # killed before there were tables
                return {}
        return {t: np.frombuffer(votes, "<i8") for t, votes in rows}

    def _check_nothing_private_outside(self) -> None:
        secret = [path.read_bytes() for path in files_of(self.private / "images")]
        features = [np.asarray(Image.open(io.BytesIO(s))).ravel() / np.float32(255) for s in secret]
        secret += [row.astype(np.float32).tobytes() for row in features]
        places = (self.out / "private", self.dropped.parent)
        for path in files_of(self.root):
            if not any(place in path.parents for place in places):
                data = path.read_bytes()
                if any(one in data for one in secret):
                    raise Lost(f"something private is in {path.name}")

    # In place of chance and of pictures -------------------------------------------------------

    @property
    def drawn(self) -> dict[int, list[np.ndarray]]:
        """All that was drawn, by generation, kept away from the folders that crash."""
        found: dict[int, list[np.ndarray]] = {}
        for path in sorted((self.private / "drawn" / self.name).glob("*.npy")):
            found.setdefault(int(path.stem.split("-")[0]), []).append(np.load(path))
        return found

    @contextmanager
    def faked(self) -> Iterator[None]:
        """Draws that can be repeated, and a report without plots, which take half a second."""
        real_release, real_continue = release.PrivateVoters.release, runner.continue_run
        now = []

        def releasing(voters, generation, *arguments):
            now.append(generation)
            return (yield from real_release(voters, generation, *arguments))

        def draw(counts, sigma):
            return self._draw(now[-1], counts)

        def continuing(*arguments, **options):
            for event in real_continue(*arguments, **options):
                if isinstance(event, VotesReleased):
                    self._check_committed(event)
                yield event

        with ExitStack() as stack:
            patch = lambda *what: stack.enter_context(mock.patch.object(*what))  # noqa: E731
            patch(release.PrivateVoters, "release", releasing)
            patch(release, "discrete_gaussian", draw)
            patch(runner, "continue_run", continuing)
            patch(plots, "vote_histogram", lambda *_: PICTURE)
            patch(plots, "epsilon_curve", lambda *_: PICTURE)
            yield

    def _draw(self, t: int, counts: np.ndarray) -> np.ndarray:
        if t in self.committed():
            raise Lost(f"noise was drawn again for generation {t}, which is committed")
        number = self.drawn_before.get(t, 0) + len(self.drawn.get(t, ())) + 1
        votes = counts + np.random.default_rng([t, number]).integers(-3, 4, len(counts))
        where = self.private / "drawn" / self.name
        where.mkdir(parents=True, exist_ok=True)
        np.save(where / f"{t}-{number:03d}.npy", votes)
        return votes

    def _check_committed(self, event: VotesReleased) -> None:
        votes = self.committed().get(event.generation)
        if votes is None or not np.array_equal(votes, event.noisy_votes):
            raise Lost(f"votes of generation {event.generation} were shown before they were kept")


def private_images(folder: Path) -> Path:
    """A folder with ``images/``, and the same in ``images.zip``."""
    chance = np.random.default_rng(7)
    images = folder / "images"
    images.mkdir(parents=True)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i in range(IMAGES):
            path = images / f"{i % 2}_{i}.png"
            Image.fromarray(chance.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
            archive.write(path, path.name)
    return folder


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def check_whole(path: Path) -> None:
    """Raises Lost where a file is not what its name says."""
    with contextlib.suppress(KeyError):
        try:
            READERS[path.suffix](path)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise Lost(f"{path.name} is torn: {error}") from error


def _read_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            raise ValueError("a member is damaged")


def _read_html(path: Path) -> None:
    if not path.read_bytes().rstrip().endswith(b"</html>"):
        raise ValueError("its end is missing")


def _one_pixel() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _one_pixel()
READERS = {
    ".json": lambda path: json.loads(path.read_bytes()),
    ".npz": _read_zip,
    ".zip": _read_zip,
    ".html": _read_html,
    ".png": lambda path: Image.open(path).load(),
}
