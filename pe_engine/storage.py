"""Run folders: where everything of one run lies, written so that a crash leaves old or new, never
half.

    OUT/                    0700
      run.json              run id, settings, class names, σ: for the owner; written once
      lock                  held by the one process that drives the run
      generations/0000.npz  population of each finished generation
      committed.json        the newest generation whose noisy votes the ledger has taken
      finish.json           the run is to be released as it is, however many generations it has
      title.json            what its owner calls it; see titles.py
      provenance.json       what identifies the files that the generator works with
      initial.npz           pictures from elsewhere that generation 0 is to be made of, if any
      generator/            what the generator keeps: answers that were paid for, a pool's features
      private/              0700, removed when the run is done
        source.json         where the private images lie, if they are no upload
        upload.zip          private images that were uploaded, until they have been read
        features.npz        private features, class and person ids, if the owner chose to keep them
      samples.npz, manifest.json, report.html, synthetic.zip   the release (see export.py)
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pe_engine.errors import RunError
from pe_engine.files import (
    OWNER_ONLY_FILE,
    atomic_write,
    owner_folder,
    put_in_place,
    remove_parts,
    sync_folder,
    write_json,
)
from pe_engine.ownership import write_owner
from pe_engine.population import Population
from pe_engine.population_files import (
    Links,
    read_image,
    read_links,
    read_population,
    write_population,
)

NEW, DELETED = ".new", ".deleted"
"""How the names of folders end that are being made or deleted, beside the run's own."""


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

    @property
    def _pointer(self) -> Path:
        return self._private / "source.json"

    @property
    def _upload(self) -> Path:
        """While it is there it is what is to be read."""
        return self._private / "upload.zip"

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

    def create(self, header: dict[str, Any], owner: str | None = None) -> None:
        """Make the folder with what is fixed about the run (JSON values) and whose it is, all at
        once: a run without an owner would be a local page's."""
        self._remove_cut_off()
        new = self._beside(NEW)
        try:
            for folder in (new, new / "generations", new / "private"):
                owner_folder(folder)
            write_json(new / "run.json", header)
            if owner is not None:
                write_owner(new, owner)
            if self.path.exists():
                self.path.rmdir()
            new.rename(self.path)
            sync_folder(self.path.parent)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            if self.exists():
                self.delete()
            raise

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f".{self.path.name}{ending}")

    def _remove_cut_off(self) -> None:
        """Delete what a start or a deletion of this run left when it was cut off."""
        for ending in (NEW, DELETED):
            if self._beside(ending).exists():
                shutil.rmtree(self._beside(ending))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While one process drives the run; what an earlier one left half written is deleted.

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
            self._remove_cut_off()
            remove_parts(self.path)
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
        except (ValueError, RecursionError) as error:
            raise RunError(f"{self.path / 'run.json'} is damaged. Start a new run.") from error

    # Generations ------------------------------------------------------------------------------

    def write_population(self, generation: int, population: Population) -> None:
        write_population(self.generation_path(generation), population)

    def read_population(self, generation: int) -> Population:
        return read_population(self.generation_path(generation))

    def read_links(self, generation: int) -> Links:
        return read_links(self.generation_path(generation))

    def read_image(self, generation: int, index: int) -> np.ndarray:
        return read_image(self.generation_path(generation), index)

    def last_generation(self) -> int:
        """The newest complete generation; -1 before the first."""
        names = (self.path / "generations").glob("*.npz")
        return max((int(p.stem) for p in names if re.fullmatch(r"\d{4}", p.stem)), default=-1)

    def note_committed(self, generation: int) -> None:
        """The ledger has taken the noisy votes of this generation; nobody has seen them before."""
        if generation > self.last_committed():
            write_json(self.path / "committed.json", {"generation": generation})

    def last_committed(self) -> int:
        """The newest generation that was so noted; 0 before the first."""
        path = self.path / "committed.json"
        return json.loads(path.read_text(encoding="utf-8"))["generation"] if path.is_file() else 0

    @property
    def finishes_early(self) -> bool:
        """Nothing more is to be made than the release of the last generation."""
        return (self.path / "finish.json").is_file()

    def finish_early(self) -> None:
        """From now on, whatever happens, until the release is there."""
        write_json(self.path / "finish.json", {"after": self.last_generation()})

    def generation_path(self, generation: int) -> Path:
        return self.path / "generations" / f"{generation:04d}.npz"

    def write_provenance(self, provenance: Mapping[str, str]) -> None:
        """What identifies the files that the generator works with."""
        write_json(self.path / "provenance.json", dict(provenance))

    def read_provenance(self) -> dict[str, str]:
        """Empty where there are none, or nothing was made yet."""
        path = self.path / "provenance.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def write_initial(self, population: Population) -> None:
        """Pictures from elsewhere that the generator is to adopt; their state is ``prompt``."""
        write_population(self.path / "initial.npz", population)

    def read_initial(self) -> Population | None:
        path = self.path / "initial.npz"
        return read_population(path) if path.is_file() else None

    # The private zone -------------------------------------------------------------------------

    def adopt_source(self, source: Path, upload: bool) -> None:
        """The private images of this run lie at ``source``, a folder or zip, and are to be read.

        Args:
            upload: it is a zip of our own; it moves into this folder and is deleted once read.
        """
        owner_folder(self._private)
        if upload:
            put_in_place(source, self._upload)
            self._pointer.unlink(missing_ok=True)
        else:
            write_json(self._pointer, {"path": str(source.resolve())})
            self._upload.unlink(missing_ok=True)

    def give_back_upload(self, source: Path) -> None:
        """The run was not made: an upload that it took over lies where it was."""
        if self._upload.is_file():
            put_in_place(self._upload, source)

    def read_source(self) -> Path | None:
        """Where the private images are to be read; None where that is not known any more."""
        if self._upload.is_file():
            return self._upload
        if not self._pointer.exists():
            return None
        return Path(json.loads(self._pointer.read_text(encoding="utf-8"))["path"])

    def images_were_read(self, keeps_features: bool) -> None:
        """An upload is deleted, and so is the path of images whose features wait in their place.

        The path of the owner's own images stays else, so that a resumed run can read them again.
        """
        if keeps_features or self._upload.is_file():
            self.forget_images()

    def forget_images(self) -> None:
        """An upload is deleted, and so is the path of images that lie elsewhere."""
        self._pointer.unlink(missing_ok=True)  # first: it may never lead to what is gone
        self._upload.unlink(missing_ok=True)
        sync_folder(self._private)

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
        """Remove what the generator kept to be able to go on; OSError if that cannot be done."""
        if self.generator_path.exists():
            shutil.rmtree(self.generator_path)

    def delete_private(self) -> None:
        """Remove all that is private, the run being done; OSError if that cannot be done."""
        if self._private.exists():
            shutil.rmtree(self._private)
            sync_folder(self.path)

    def delete(self) -> None:
        """Remove the run with all its files; at once it is no run any more.

        Raises:
            OSError: something could not be deleted.
        """
        self._remove_cut_off()
        gone = self._beside(DELETED)
        self.path.rename(gone)
        sync_folder(gone.parent)
        if (gone / "private").exists():
            shutil.rmtree(gone / "private")  # first, should the rest not be reached
        shutil.rmtree(gone)


def remove_cut_off(runs: Path) -> None:
    """Delete what is left below ``runs`` of starts and deletions that a crash has cut off.

    Another process that is making a run there at this moment would fail to, with nothing lost.
    """
    for left in runs.glob(".*"):
        if left.suffix in (NEW, DELETED):
            shutil.rmtree(left)
