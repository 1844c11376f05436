"""Run folders: where everything of one run lies, written so that a crash leaves old or new, never
half.

    OUT/                    0700
      run.json              run id, settings, class names, σ: for the owner; written once
      lock                  held by the one process that drives the run
      generations/0000.npz  population of each finished generation
      provenance.json       what identifies the files that the generator works with
      initial.npz           pictures from elsewhere that generation 0 is to be made of, if any
      generator/            what the generator keeps: answers that were paid for, a pool's features
      private/              0700, removed when the run is done
        source.json         where the private images lie
        upload.zip          private images that were uploaded, until they have been read
        features.npz        private features, class and person ids, if the owner chose to keep them
      samples.npz, manifest.json, report.html, synthetic.zip   the release (see export.py)
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pe_engine.errors import RunError
from pe_engine.files import OWNER_ONLY_FILE, atomic_write, owner_folder, sync_folder
from pe_engine.population import Population, one_channel, three_channels


def home_folder() -> Path:
    """Where the ledger, uploads and the page's runs lie: ``PE_HOME``, else a per-user data folder.

    Created with mode 0700 if missing.
    """
    from platformdirs import user_data_path

    named = os.environ.get("PE_HOME")
    return owner_folder(
        Path(named) if named else user_data_path("private-evolution-studio", appauthor=False)
    )


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def zip_path(self) -> Path:
        return self.path / "synthetic.zip"

    @property
    def generator_path(self) -> Path:
        return self.path / "generator"

    @property
    def _private(self) -> Path:
        return self.path / "private"

    def check_free(self) -> None:
        """Raises:
        RunError: there is a run here already, or other files.
        """
        if self.exists():
            raise RunError(
                f"{self.path} already holds a run. Go on with that one by: python -m pe_engine "
                f"resume {self.path}, or choose another folder."
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise RunError(f"{self.path} is not an empty folder. Choose another output folder.")

    def create(self, header: dict[str, Any]) -> None:
        """Make the folder with what is fixed about the run (JSON values), all at once."""
        new = self.path.with_name(f".{self.path.name}.new")
        shutil.rmtree(new, ignore_errors=True)  # of a start that was cut off
        owner_folder(new)
        owner_folder(new / "generations")
        owner_folder(new / "private")
        _write_json(new / "run.json", header)
        if self.path.exists():
            self.path.rmdir()
        new.rename(self.path)
        sync_folder(self.path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While one process drives the run.

        Raises:
            RunError: another process does.
        """
        import filelock

        lock = filelock.FileLock(self.path / "lock", mode=OWNER_ONLY_FILE, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RunError(
                "This run is being driven by another process. Wait for that one, or stop it."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def exists(self) -> bool:
        return (self.path / "run.json").is_file()

    def read_header(self) -> dict[str, Any]:
        """What ``create`` stored.

        Raises:
            RunError: there is no run here, or its header is damaged.
        """
        if not self.exists():
            raise RunError(f"{self.path} holds no run. Start one first.")
        try:
            return json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{self.path / 'run.json'} is damaged. Start a new run.") from error

    # Generations ------------------------------------------------------------------------------

    def write_population(self, generation: int, population: Population) -> None:
        _write_population(self.generation_path(generation), population)

    def read_population(self, generation: int) -> Population:
        return _read_population(self.generation_path(generation))

    def last_generation(self) -> int:
        """The newest complete generation; -1 before the first."""
        names = (self.path / "generations").glob("*.npz")
        return max((int(p.stem) for p in names if re.fullmatch(r"\d{4}", p.stem)), default=-1)

    def generation_path(self, generation: int) -> Path:
        return self.path / "generations" / f"{generation:04d}.npz"

    def write_provenance(self, provenance: Mapping[str, str]) -> None:
        """What identifies the files that the generator works with."""
        _write_json(self.path / "provenance.json", dict(provenance))

    def read_provenance(self) -> dict[str, str]:
        """Empty where there are none, or nothing was made yet."""
        path = self.path / "provenance.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def write_initial(self, population: Population) -> None:
        """Pictures from elsewhere that the generator is to adopt; their state is ``prompt``."""
        _write_population(self.path / "initial.npz", population)

    def read_initial(self) -> Population | None:
        path = self.path / "initial.npz"
        return _read_population(path) if path.is_file() else None

    # The private zone -------------------------------------------------------------------------

    def adopt_source(self, source: Path, upload: bool) -> None:
        """The private images of this run lie at ``source``, a folder or zip, and are to be read.

        Args:
            upload: it is a zip of our own; it moves into this folder and is deleted once read.
        """
        owner_folder(self._private)
        if upload:
            kept = self._private / "upload.zip"
            shutil.move(source, kept)
            source = kept
        _write_json(self._private / "source.json", {"path": str(source.resolve())})

    def read_source(self) -> Path | None:
        """Where the private images are to be read; None where that is not known any more."""
        path = self._private / "source.json"
        return Path(json.loads(path.read_text(encoding="utf-8"))["path"]) if path.exists() else None

    def images_were_read(self, keeps_features: bool) -> None:
        """An upload is deleted, and so is the path of images whose features wait in their place.

        The path of the owner's own images stays else, so that a resumed run can read them again.
        """
        if keeps_features or self.read_source() == self._private / "upload.zip":
            self.forget_images()

    def forget_images(self) -> None:
        """An upload is deleted, and so is the path of images that lie elsewhere."""
        (self._private / "source.json").unlink(missing_ok=True)
        (self._private / "upload.zip").unlink(missing_ok=True)

    @property
    def needs_images(self) -> bool:
        """The private images would have to be given again before they could vote."""
        return self.read_source() is None and not (self._private / "features.npz").is_file()

    def write_features(
        self, features: np.ndarray, class_ids: np.ndarray, person_ids: np.ndarray
    ) -> None:
        with atomic_write(self._private / "features.npz") as file:
            np.savez(file, features=features, class_ids=class_ids, person_ids=person_ids)

    def read_features(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        path = self._private / "features.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            class_ids = file["class_ids"]
            # stored before there were persons, every image stands for itself
            stored = "person_ids" in file.files
            person_ids = file["person_ids"] if stored else np.arange(len(class_ids))
            return file["features"], class_ids, person_ids

    def delete_generator(self) -> None:
        """Remove what the generator kept to be able to go on."""
        shutil.rmtree(self.generator_path, ignore_errors=True)

    def delete_private(self) -> None:
        """Remove all that is private; the run is done.

        Raises:
            OSError: something could not be deleted.
        """
        if self._private.exists():
            shutil.rmtree(self._private)

    def delete(self) -> None:
        """Remove the run with all its files; at once it is no run any more.

        Raises:
            OSError: something could not be deleted.
        """
        gone = self.path.with_name(f".{self.path.name}.deleted")
        self.path.rename(gone)
        shutil.rmtree(gone)


def _write_population(path: Path, population: Population) -> None:
    with atomic_write(path) as file:
        np.savez(
            file,
            images=one_channel(population.images),
            class_ids=population.class_ids,
            parents=population.parents,
            **{f"state_{name}": array for name, array in population.state.items()},
        )


def _read_population(path: Path) -> Population:
    with np.load(path, allow_pickle=False) as file:
        return Population(
            three_channels(file["images"]),
            file["class_ids"],
            file["parents"],
            {n.removeprefix("state_"): file[n] for n in file.files if n.startswith("state_")},
        )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False).encode())
