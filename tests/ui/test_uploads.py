"""Uploads: framing, caps, tokens, and that nothing stays behind."""

import os
import stat
import struct
import time
import zipfile

import pytest

from pe_engine.errors import DataError
from pe_engine.ui.uploads import Uploads, read_frames


def framed(*files):
    return b"".join(
        struct.pack("<HI", len(name), len(data)) + name + data
        for name, data in ((n.encode() if isinstance(n, str) else n, d) for n, d in files)
    )


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path)


def test_files_of_several_batches_become_one_private_zip(uploads):
    token = uploads.begin()
    assert uploads.add_files(token, framed(("a/1.png", b"one"), ("b/2.png", b"two"))) == 2
    assert uploads.add_files(token, framed(("b/3.png", b""))) == 3
    uploads.finish(token)
    path = uploads.path(token)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {"a/1.png": b"one", "b/2.png": b"two", "b/3.png": b""}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_zip_in_pieces_stays_as_it_is(uploads, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("x_1.png", b"pixels" * 100)
    whole = (tmp_path / "in.zip").read_bytes()
    token = uploads.begin()
    assert uploads.add_zip_piece(token, 0, whole[:100]) == 100
    with pytest.raises(DataError, match="starts at byte 50, but 100"):
        uploads.add_zip_piece(token, 50, whole[50:])
    uploads.add_zip_piece(token, 100, whole[100:])
    uploads.finish(token)
    assert uploads.path(token).read_bytes() == whole


@pytest.mark.parametrize(
    "name",
    [
        "../x.png",
        "a/../../x.png",
        "/etc/x.png",
        "a\\x.png",
        "C:/x.png",
        "x\0.png",
        "",
        b"\xff.png",
        "n" * 2000,
    ],
)
def test_an_unsafe_name_is_refused(name):
    with pytest.raises(DataError, match="file name"):
        list(read_frames(framed((name, b"data"))))


@pytest.mark.parametrize("cut", [1, 5, 7, 12])
def test_a_cut_frame_is_refused(cut):
    body = framed(("a.png", b"data"))
    with pytest.raises(DataError, match="incomplete"):
        list(read_frames(body[:-cut]))


def test_the_caps_hold(tmp_path):
    few = Uploads(tmp_path, max_files=2, max_bytes=10)
    token = few.begin()
    few.add_files(token, framed(("a", b"12345")))
    with pytest.raises(DataError, match="larger than"):
        few.add_files(token, framed(("b", b"123456")))
    few.add_files(token, framed(("b", b"1")))
    with pytest.raises(DataError, match="more than 2 files"):
        few.add_files(token, framed(("c", b"1")))
    with pytest.raises(DataError, match="larger than"):
        few.add_zip_piece(few.begin(), 0, b"x" * 11)


def test_the_same_name_twice_is_refused(uploads):
    token = uploads.begin()
    with pytest.raises(DataError, match="same name"):
        uploads.add_files(token, framed(("a", b"1"), ("a", b"2")))


def test_an_upload_is_one_zip_or_files(uploads):
    token = uploads.begin()
    uploads.add_files(token, framed(("a", b"1")))
    with pytest.raises(DataError, match="holds files already"):
        uploads.add_zip_piece(token, 0, b"PK")


def test_what_is_no_zip_is_refused_and_removed(uploads):
    token = uploads.begin()
    uploads.add_zip_piece(token, 0, b"this is no zip")
    with pytest.raises(DataError, match="not a zip"):
        uploads.finish(token)
    assert list(uploads.folder.iterdir()) == []


def test_an_unfinished_or_removed_upload_has_no_path(uploads):
    token = uploads.begin()
    uploads.add_files(token, framed(("a", b"1")))
    with pytest.raises(DataError, match="not here any more"):
        uploads.path(token)
    uploads.remove(token)
    with pytest.raises(DataError, match="not here any more"):
        uploads.path(token)
    assert list(uploads.folder.iterdir()) == []


@pytest.mark.parametrize("token", ["", "..", "0" * 31, "../" + "0" * 29, "G" * 32])
def test_a_token_is_never_a_path(uploads, token):
    for act in (uploads.path, uploads.remove, uploads.finish):
        with pytest.raises(DataError):
            act(token)


def long_ago(uploads, token):
    day_before = time.time() - 25 * 3600
    for path in (uploads.folder / token / "upload.zip", uploads.folder / token):
        os.utime(path, (day_before, day_before))


def test_what_was_left_behind_is_removed_at_the_start(tmp_path):
    before = Uploads(tmp_path)
    kept, old, cut_off = (before.begin() for _ in range(3))
    for token in (kept, old, cut_off):
        before.add_files(token, framed(("a", b"1")))
    before.finish(kept)
    before.finish(old)
    for token in (old, cut_off):
        long_ago(before, token)
    after = Uploads(tmp_path)
    assert after.remove_stale() == 2
    assert [folder.name for folder in after.folder.iterdir()] == [kept]


def test_what_was_left_behind_is_removed_when_another_upload_begins(uploads):
    old, cut_off = uploads.begin(), uploads.begin()
    for token in (old, cut_off):
        uploads.add_files(token, framed(("a", b"1")))
    uploads.finish(old)
    for token in (old, cut_off):
        long_ago(uploads, token)
    new = uploads.begin()
    assert [folder.name for folder in uploads.folder.iterdir()] == [new]
    with pytest.raises(DataError, match="has ended"):
        uploads.add_files(cut_off, framed(("b", b"1")))


def test_an_upload_that_still_grows_is_not_left_behind(uploads):
    token = uploads.begin()
    long_ago_folder = time.time() - 25 * 3600
    uploads.add_files(token, framed(("a", b"1")))
    os.utime(uploads.folder / token, (long_ago_folder, long_ago_folder))
    assert uploads.remove_stale() == 0
    assert uploads.add_files(token, framed(("b", b"1"))) == 2
