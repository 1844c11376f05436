"""Run folders: complete or not at all, and for the owner only."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pe_engine.errors import RunError
from pe_engine.files import atomic_write, home_folder
from pe_engine.population import Population
from pe_engine.storage import RunFolder, remove_cut_off
from tests.conftest import ROOT


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create({"run_id": "r"})
    return run


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    with atomic_write(path) as file:
        file.write(b"old")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
def test_only_the_owner_may_enter(folder):
    folder.write_features(np.zeros((2, 3), np.float32), *np.zeros((2, 2), np.int64))
    for path in [folder.path, *folder.path.rglob("*")]:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_population_round_trip(folder):
    grey = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4, 1)
    population = Population(
        np.broadcast_to(grey, (2, 4, 4, 3)),
        np.array([0, 1]),
        np.array([-1, 5]),
        {"font": np.array([3, 4]), "text": np.array(["a", "ß"])},
    )
    assert folder.last_generation() == -1
    folder.write_population(0, population)
    folder.write_population(1, population.take(np.array([1, 0])))
    assert folder.last_generation() == 1
    read = folder.read_population(0)
    np.testing.assert_array_equal(read.images, population.images)
    assert read.parents.tolist() == [-1, 5]
    assert read.class_ids.tolist() == [0, 1]
    assert read.state["text"].tolist() == ["a", "ß"]
    assert folder.read_population(1).state["font"].tolist() == [4, 3]


def test_half_written_generations_do_not_count(folder):
    (folder.path / "generations" / ".0000.npz.part").write_bytes(b"half")
    assert folder.last_generation() == -1


def test_deleting_what_is_private_keeps_the_rest(folder):
    folder.write_features(np.zeros((2, 3), np.float32), *np.zeros((2, 2), np.int64))
    folder.adopt_source(Path("/data"), upload=False)
    assert folder.read_source() == Path("/data")
    folder.delete_private()
    assert folder.read_features() is None
    assert folder.read_source() is None
    assert folder.exists()


def test_an_upload_moves_in_and_is_deleted_once_read(tmp_path, folder):
    upload = tmp_path / "upload.zip"
    upload.write_bytes(b"zip")
    folder.adopt_source(upload, upload=True)
    assert not upload.exists()
    assert folder.read_source().read_bytes() == b"zip"
    folder.images_were_read(keeps_features=False)
    assert folder.read_source() is None and folder.needs_images
    assert list((folder.path / "private").iterdir()) == []


def test_one_process_at_a_time(folder):
    code = (
        "import sys, pathlib; from pe_engine.storage import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).locked(): print('driving')"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    with folder.locked():
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "driven by another process" in refused.stderr
    allowed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert allowed.stdout == "driving\n"


def test_a_deleted_run_is_gone_at_once(tmp_path, folder):
    folder.delete()
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_header_is_said(folder):
    (folder.path / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        folder.read_header()


def test_a_folder_in_use_is_not_taken(tmp_path, folder):
    with pytest.raises(RunError, match="already holds a run"):
        folder.check_free()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x")
    with pytest.raises(RunError, match="not an empty folder"):
        RunFolder(tmp_path / "other").check_free()
    RunFolder(tmp_path / "new").check_free()
    with pytest.raises(RunError, match="holds no run"):
        RunFolder(tmp_path / "other").read_header()


def test_home_follows_the_environment(home):
    assert home_folder() == home
    assert home.is_dir()


def test_what_a_crash_cut_off_is_deleted(tmp_path, folder):
    left = [tmp_path / ".run.new", tmp_path / ".run.deleted" / "private"]
    parts = [folder.path / ".samples.npz.part", folder.path / "private" / ".features.npz.part"]
    for path in left:
        path.mkdir(parents=True)
    for path in parts:
        path.write_bytes(b"half")
    with folder.locked():
        assert not any(path.exists() for path in [*left, *parts])
    other = tmp_path / f".{'0' * 32}.deleted"
    (other / "private").mkdir(parents=True)
    remove_cut_off(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pe_engine.storage.sync_folder", full)  # once it has its name
    with pytest.raises(OSError, match="No space"):
        RunFolder(tmp_path / "run").create({"run_id": "r"})
    monkeypatch.undo()
    assert not RunFolder(tmp_path / "run").exists()
    RunFolder(tmp_path / "run").create({"run_id": "r"})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_upload_that_lies_on_another_disk_is_copied(tmp_path, folder, monkeypatch):
    upload = tmp_path / "upload.zip"
    upload.write_bytes(b"zip")
    rename = Path.replace

    def across(self, target):
        if self == upload:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", across)
    folder.adopt_source(upload, upload=True)
    assert not upload.exists()
    assert folder.read_source().read_bytes() == b"zip"


def test_the_images_given_last_are_read(tmp_path, folder):
    upload = tmp_path / "upload.zip"
    for _ in range(2):
        upload.write_bytes(b"zip")
        folder.adopt_source(upload, upload=True)
        assert folder.read_source() == folder.path / "private" / "upload.zip"
        folder.adopt_source(Path("/data"), upload=False)
        assert folder.read_source() == Path("/data")


def test_the_newest_committed_generation_is_noted_and_never_goes_back(tmp_path):
    folder = RunFolder(tmp_path / "out")
    folder.create({})
    assert folder.last_committed() == 0
    for generation in (1, 3, 2):
        folder.note_committed(generation)
    assert RunFolder(tmp_path / "out").last_committed() == 3
