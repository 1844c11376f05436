"""Uploads: framing, caps, tokens, and that nothing stays behind."""

import os
import stat
import struct
import time
import zipfile

import pytest

from pe_engine.errors import DataError
from pe_engine.ui.caps import Caps
from pe_engine.ui.frames import read_frames
from pe_engine.ui.uploads import STALE_SECONDS, NoUpload, Uploads

ME, OTHER = "1" * 64, "2" * 64


def framed(*files):
    return b"".join(
        struct.pack("<HI", len(name), len(data)) + name + data
        for name, data in ((n.encode() if isinstance(n, str) else n, d) for n, d in files)
    )


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path)


def test_files_of_several_batches_become_one_private_zip(uploads):
    token = uploads.begin(ME)
    assert uploads.add_files(ME, token, framed(("a/1.png", b"one"), ("b/2.png", b"two"))) == 2
    assert uploads.add_files(ME, token, framed(("b/3.png", b""))) == 3
    uploads.finish(ME, token)
    path = uploads.path(ME, token)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {"a/1.png": b"one", "b/2.png": b"two", "b/3.png": b""}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_zip_in_pieces_stays_as_it_is(uploads, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("x_1.png", b"pixels" * 100)
    whole = (tmp_path / "in.zip").read_bytes()
    token = uploads.begin(ME)
    assert uploads.add_zip_piece(ME, token, 0, whole[:100]) == 100
    with pytest.raises(DataError, match="starts at byte 50, but 100"):
        uploads.add_zip_piece(ME, token, 50, whole[50:])
    uploads.add_zip_piece(ME, token, 100, whole[100:])
    uploads.finish(ME, token)
    assert uploads.path(ME, token).read_bytes() == whole


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
    few = Uploads(tmp_path, Caps(files=2, bytes=10))
    token = few.begin(ME)
    few.add_files(ME, token, framed(("a", b"12345")))
    with pytest.raises(DataError, match="larger than"):
        few.add_files(ME, token, framed(("b", b"123456")))
    few.add_files(ME, token, framed(("b", b"1")))
    with pytest.raises(DataError, match="more than 2 files"):
        few.add_files(ME, token, framed(("c", b"1")))
    with pytest.raises(DataError, match="larger than"):
        few.add_zip_piece(ME, few.begin(ME), 0, b"x" * 11)


def test_the_same_name_twice_is_refused(uploads):
    token = uploads.begin(ME)
    with pytest.raises(DataError, match="same name"):
        uploads.add_files(ME, token, framed(("a", b"1"), ("a", b"2")))


def test_an_upload_is_one_zip_or_files(uploads):
    token = uploads.begin(ME)
    uploads.add_files(ME, token, framed(("a", b"1")))
    with pytest.raises(DataError, match="holds files already"):
        uploads.add_zip_piece(ME, token, 0, b"PK")


def test_what_is_no_zip_is_refused_and_removed(uploads):
    token = uploads.begin(ME)
    uploads.add_zip_piece(ME, token, 0, b"this is no zip")
    with pytest.raises(DataError, match="not a zip"):
        uploads.finish(ME, token)
    assert list(uploads.folder.iterdir()) == []


def test_an_unfinished_or_removed_upload_has_no_path(uploads):
    token = uploads.begin(ME)
    uploads.add_files(ME, token, framed(("a", b"1")))
    with pytest.raises(DataError, match="not here any more"):
        uploads.path(ME, token)
    uploads.remove(ME, token)
    with pytest.raises(DataError, match="not here any more"):
        uploads.path(ME, token)
    assert list(uploads.folder.iterdir()) == []


@pytest.mark.parametrize("token", ["", "..", "0" * 31, "../" + "0" * 29, "G" * 32])
def test_a_token_is_never_a_path(uploads, token):
    for act in (uploads.path, uploads.finish):
        with pytest.raises(NoUpload):
            act(ME, token)
    uploads.remove(ME, token)
    assert uploads.folder.is_dir()


def test_an_upload_is_its_owners_alone(uploads):
    token = uploads.begin(ME)
    uploads.add_files(ME, token, framed(("a", b"1")))
    said = set()
    for owner, asked in ((OTHER, token), ("", token), (OTHER, "0" * 32), (OTHER, "..")):
        for act in (
            lambda: uploads.add_files(owner, asked, framed(("b", b"1"))),  # noqa: B023
            lambda: uploads.add_zip_piece(owner, asked, 0, b"PK"),  # noqa: B023
            lambda: uploads.finish(owner, asked),  # noqa: B023
            lambda: uploads.path(owner, asked),  # noqa: B023
        ):
            with pytest.raises(NoUpload) as raised:
                act()
            said.add(str(raised.value))
        uploads.remove(owner, asked)
    assert len(said) == 1
    uploads.finish(ME, token)
    with pytest.raises(NoUpload):
        uploads.path(OTHER, token)
    with zipfile.ZipFile(uploads.path(ME, token)) as archive:
        assert archive.namelist() == ["a"]


def test_a_finished_upload_stays_its_owners_in_the_next_server(uploads, tmp_path):
    token = uploads.begin(ME)
    uploads.add_files(ME, token, framed(("a", b"1")))
    uploads.finish(ME, token)
    after = Uploads(tmp_path)
    assert after.path(ME, token).is_file()
    with pytest.raises(NoUpload):
        after.path(OTHER, token)
    assert ME not in (tmp_path / "uploads" / token / "upload.zip").read_bytes().decode("latin-1")


def test_uploads_of_one_and_of_all_are_counted(tmp_path):
    few = Uploads(tmp_path, Caps(of_one=2, in_all=3, bytes_of_one=10))
    first, _ = few.begin(ME), few.begin(ME)
    with pytest.raises(DataError, match="You have 2 uploads"):
        few.begin(ME)
    few.begin(OTHER)
    with pytest.raises(DataError, match="too many uploads"):
        few.begin("3" * 64)
    few.remove(ME, first)
    token = few.begin(ME)
    few.add_zip_piece(ME, token, 0, b"x" * 10)
    few.remove(OTHER, token)  # which does nothing
    with pytest.raises(DataError, match="together"):
        few.add_zip_piece(ME, token, 10, b"x")
    few.remove(ME, token)


class Clock:
    """Seconds that the test lets pass."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make_old(uploads, token):
    day_before = time.time() - 25 * 3600
    for path in (uploads.folder / token / "upload.zip", uploads.folder / token):
        os.utime(path, (day_before, day_before))


def test_what_was_left_behind_is_removed_at_the_start(tmp_path):
    before = Uploads(tmp_path)
    kept, old, cut_off = (before.begin(ME) for _ in range(3))
    for token in (kept, old, cut_off):
        before.add_files(ME, token, framed(("a", b"1")))
    before.finish(ME, kept)
    before.finish(ME, old)
    for token in (old, cut_off):
        make_old(before, token)
    after = Uploads(tmp_path)
    assert [folder.name for folder in after.folder.iterdir()] == [kept]


def test_what_nobody_uses_is_removed_when_another_upload_begins(tmp_path):
    clock = Clock()
    uploads = Uploads(tmp_path, clock=clock)
    old, cut_off = uploads.begin(ME), uploads.begin(ME)
    for token in (old, cut_off):
        uploads.add_files(ME, token, framed(("a", b"1")))
    uploads.finish(ME, old)
    clock.now += STALE_SECONDS - 1
    other = uploads.begin(OTHER)
    assert len(list(uploads.folder.iterdir())) == 3
    clock.now += 2
    new = uploads.begin(ME)
    assert {folder.name for folder in uploads.folder.iterdir()} == {other, new}
    with pytest.raises(NoUpload):
        uploads.add_files(ME, cut_off, framed(("b", b"1")))


@pytest.mark.parametrize("shift", [-10 * 365 * 86400, 10 * 365 * 86400])
def test_a_clock_that_is_set_deletes_no_upload_in_use(tmp_path, monkeypatch, shift):
    clock = Clock()
    uploads = Uploads(tmp_path, clock=clock)
    grows, waits = uploads.begin(ME), uploads.begin(ME)
    uploads.add_files(ME, waits, framed(("a", b"1")))
    uploads.finish(ME, waits)
    uploads.add_files(ME, grows, framed(("a", b"1")))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + shift)
    clock.now += STALE_SECONDS - 10
    assert uploads.remove_stale() == 0
    assert uploads.add_files(ME, grows, framed(("b", b"1"))) == 2
    assert uploads.path(ME, waits).is_file()
    clock.now += 20
    assert uploads.remove_stale() == 0  # both were just used


def test_what_comes_from_a_clock_set_back_is_removed_all_the_same(tmp_path):
    before = Uploads(tmp_path)
    token = before.begin(ME)
    year_ahead = time.time() + 365 * 86400
    os.utime(before.folder / token, (year_ahead, year_ahead))
    clock = Clock()
    after = Uploads(tmp_path, clock=clock)
    clock.now += STALE_SECONDS + 1
    assert after.remove_stale() == 1
    assert list(after.folder.iterdir()) == []
