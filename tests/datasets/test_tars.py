"""Hostile, damaged and cut archives."""

import gzip
import tarfile

import numpy as np
import pytest

from pe_engine.datasets import tars
from pe_engine.errors import DataError
from tests.datasets.conftest import bomb, packed

FILES = {"folder/a": b"one", "./folder/b": b"two" * 5000, "c": b""}


def read(tmp_path, content):
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    return dict(tars.members(archive))


def test_plain_files_are_read_by_name(tmp_path):
    assert read(tmp_path, packed(FILES)) == {
        "folder/a": b"one",
        "folder/b": b"two" * 5000,
        "c": b"",
    }


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\b", "C:/a"])
def test_unsafe_paths_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="unsafe path"):
        read(tmp_path, packed({**FILES, name: b"x"}))


def test_links_are_refused(tmp_path):
    with pytest.raises(DataError, match="a link"):
        read(tmp_path, packed(FILES, links=[("metadata.csv", "/etc/passwd")]))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("a")
    info.type, info.linkname = kind, "b"
    with pytest.raises(DataError, match="a link, a device"):
        read(tmp_path, gzip.compress(info.tobuf() + bytes(1024)))


def test_absurd_sizes_are_refused_unread(tmp_path):
    with pytest.raises(DataError, match=r"a file of 1.1e\+03 GB, more than the 67.1 MB allowed"):
        read(tmp_path, bomb(2**40, 1024))


def test_a_header_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    """A name of 100 MB is a header to tarfile, which reads it whole."""
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 100 * 2**20
    with pytest.raises(DataError, match="unpacks to more than it says"):
        read(tmp_path, gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(info.size), 1))


def test_zeros_without_end_are_refused(tmp_path):
    content = gzip.decompress(packed(FILES)) + bytes(50 * 2**20)
    with pytest.raises(DataError, match="unpacks to more than it says"):
        read(tmp_path, gzip.compress(content, 1))


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tars, "MAX_FILES", 2)
    with pytest.raises(DataError, match="more than 2 files"):
        read(tmp_path, packed(FILES))


def test_a_cut_archive_is_never_taken_for_a_whole_one(tmp_path):
    content = packed(FILES)
    for length in range(0, len(content), 7):
        with pytest.raises(DataError, match="damaged or incomplete"):
            read(tmp_path, content[:length])


def test_damage_is_found_by_the_checksum(tmp_path):
    rng, content = np.random.default_rng(0), packed(FILES)
    whole, found = read(tmp_path, content), 0
    for _ in range(200):
        damaged = bytearray(content)
        damaged[rng.integers(10, len(content))] ^= 1 << rng.integers(8)
        try:
            assert read(tmp_path, bytes(damaged)) == whole  # a bit that means nothing
        except DataError:
            found += 1
    assert found > 150


def test_damage_under_an_intact_checksum_ends_in_a_sentence_or_in_files(tmp_path):
    rng, content = np.random.default_rng(1), gzip.decompress(packed(FILES))
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[rng.integers(4096)] = rng.integers(256)
        try:
            read(tmp_path, gzip.compress(bytes(damaged), 1))
        except DataError as error:
            assert str(error).endswith(".")
