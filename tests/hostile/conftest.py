"""Every test here has a folder of its own, and may leave nothing outside the place it was given."""

import os
import tempfile
from functools import partial
from pathlib import Path

import pytest

from pe_engine import reading
from pe_engine.decode_pool import DecodePool


def listed(*roots: Path) -> dict[str, tuple[int, int, int]]:
    """Kind, size and time of change of all that lies in these folders, by path."""
    found = {}
    for root in roots:
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                about = os.lstat(Path(folder) / name)
                found[f"{folder}/{name}"] = (about.st_mode, about.st_size, about.st_mtime_ns)
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for hostile files. Around it are a home, a temporary and a current folder; what a
    test makes outside the place, or changes or removes there, fails it."""
    around = [tmp_path / name for name in ("canary", "home", "temporary", "here")]
    for folder in around:
        folder.mkdir()
    (tmp_path / "canary" / "secret.txt").write_text("42")
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PE_HOME", str(place / "pe"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "here")
    before = listed(*around), sorted(tmp_path.iterdir())
    yield place
    assert (listed(*around), sorted(tmp_path.iterdir())) == before


@pytest.fixture
def impatient(monkeypatch):
    """A file that hangs is given up soon."""
    monkeypatch.setattr(reading, "DecodePool", partial(DecodePool, seconds=2.0))


class Lasting(DecodePool):
    """Its processes outlast the reader: to start them takes longer than most cases."""

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def one_pool():
    """All cases of a file of tests are decoded in the same processes, as in one big folder."""
    pool = Lasting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "DecodePool", lambda: pool)
        yield
    DecodePool.close(pool)
