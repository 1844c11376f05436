"""Hostile folders: what is no plain file, what changes while it is looked at, and odd names."""

from __future__ import annotations

import os
import socket
import stat
import unicodedata
from pathlib import Path

import pytest

from pe_engine.data import Limits, open_dataset
from pe_engine.decoding import UnreadableError
from pe_engine.errors import DataError
from pe_engine.sources import FolderSource
from tests.hostile.making import folder, image
from tests.hostile.trying import tried

GOOD = image(7)
NOT_PLAIN = "is a link or a device, not a plain file"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs the files of a Unix system")
is_root = hasattr(os, "geteuid") and os.geteuid() == 0


def _link_to_file(odd: Path, outside: Path) -> None:
    odd.symlink_to(outside / "x.png")


def _link_to_folder(odd: Path, outside: Path) -> None:
    odd.symlink_to(outside)


def _link_to_itself(odd: Path, outside: Path) -> None:
    odd.symlink_to(odd)


def _link_to_what_holds_it(odd: Path, outside: Path) -> None:
    odd.symlink_to(odd.parent)


def _link_to_nothing(odd: Path, outside: Path) -> None:
    odd.symlink_to(outside / "nothing")


def _link_to_secrets(odd: Path, outside: Path) -> None:
    odd.symlink_to("/proc/self/environ")


def _pipe(odd: Path, outside: Path) -> None:
    os.mkfifo(odd)


def _socket(odd: Path, outside: Path) -> None:
    here = Path.cwd()
    os.chdir(odd.parent)  # the name of a socket may be no longer than 107 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(odd.name)
    os.chdir(here)


def _device(odd: Path, outside: Path) -> None:
    if not is_root:
        pytest.skip("only root makes devices")
    try:
        os.mknod(odd, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # endless zeros
    except PermissionError:
        pytest.skip("no devices may be made here")


ODD = {
    "a link to a file": _link_to_file,
    "a link to a folder": _link_to_folder,
    "a link to itself": _link_to_itself,
    "a link to the folder that holds it": _link_to_what_holds_it,
    "a link to nothing": _link_to_nothing,
    "a link to the environment": _link_to_secrets,
    "a pipe": _pipe,
    "a socket": _socket,
    "an endless device": _device,
}


@pytest.mark.parametrize("what", ODD)
def test_entry_that_is_no_plain_file_is_skipped(place, what):
    outside = folder(place / "outside", {"x.png": image(9)})
    root = folder(place / "set", {"good.png": GOOD})
    ODD[what](root / "odd.png", outside)
    outcome = tried(root)
    assert (outcome.images == 7).all()
    assert outcome.skipped == {"odd.png": NOT_PLAIN}


def test_hard_link_is_a_file_like_any_other(place):
    root = folder(place / "set", {"good.png": GOOD})
    os.link(root / "good.png", root / "twin.png")
    assert len(tried(root).images) == 2


def test_folder_that_is_a_link_is_what_was_chosen(place):
    (place / "link").symlink_to(folder(place / "set", {"good.png": GOOD}))
    assert len(tried(place / "link").images) == 1


@pytest.mark.parametrize("becomes", ["gone", "link", "pipe", "folder", "shorter", "empty"])
def test_file_that_changes_after_listing(place, becomes):
    root = folder(place / "set", {"1.png": GOOD, "2.png": image(9)})
    data = open_dataset(root, "none")
    odd = root / "2.png"
    odd.unlink()
    if becomes == "link":
        odd.symlink_to(root / "1.png")
    elif becomes == "pipe":
        os.mkfifo(odd)
    elif becomes == "folder":
        odd.mkdir()
    elif becomes != "gone":
        odd.write_bytes(GOOD[:30] if becomes == "shorter" else b"")
    (batch,) = data.batches(8)
    assert (batch.images == 7).all()
    ((name, reason),) = ((one.name, one.reason) for one in batch.skipped)
    assert name == "2.png"
    told = {"shorter": "is damaged or incomplete", "empty": "is empty"}
    assert reason == told.get(becomes, "cannot be opened")


def test_file_that_grows_while_it_is_read_is_skipped(place, monkeypatch):
    """Its size is looked at first, and then it is another one."""
    root = folder(place / "set", {"good.png": GOOD, "odd.png": image() + bytes(9000)})
    monkeypatch.setattr(os, "fstat", lambda descriptor: os.lstat(root / "good.png"))
    source = FolderSource(root, Limits(file_bytes=5000))
    with source.reader() as read:
        with pytest.raises(UnreadableError, match="has more than 0 MB"):
            read("odd.png")
        assert read("good.png") == GOOD


@pytest.mark.skipif(is_root, reason="root may read anything")
def test_what_may_not_be_read_is_skipped(place):
    root = folder(place / "set", {"1.png": GOOD, "2.png": GOOD, "locked/3.png": GOOD})
    (root / "2.png").chmod(0)
    (root / "locked").chmod(0)
    outcome = tried(root)
    (root / "locked").chmod(0o700)
    assert len(outcome.images) == 1
    assert set(outcome.skipped) == {"2.png", "locked"}


def test_unreadable_folder_inside_is_skipped(place, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    outcome = tried(folder(place / "set", {"1.png": GOOD, "locked/3.png": GOOD}))
    assert len(outcome.images) == 1
    assert outcome.skipped == {"locked": "is a folder that cannot be opened"}


def test_unreadable_file_is_skipped(place, monkeypatch):
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith("locked.png"):
            raise PermissionError
        return opened(path, *arguments, **options)

    root = folder(place / "set", {"1.png": GOOD, "locked.png": GOOD})
    monkeypatch.setattr(os, "open", refuse)
    assert tried(root).skipped == {"locked.png": "cannot be opened"}


NAMES = {
    "a line break": "odd\n\r.png",
    "a formula": "=cmd|' calc'!A1.png",
    "a web page": "<img src=x onerror=alert(1)>.png",
    "an option": "--output=x.png",
    "a colour code of terminals": "\x1b[31modd.png",
    "letters from right to left": "odd\u202egnp.exe",
    "letters that look like others": "g\u043e\u043ed.png",
    "pictures": "😀🦄.png",
    "a name of Windows' devices": "con.png",
    "backslashes": "a\\..\\odd.png",
    "a drive letter": "C:odd.png",
    "255 bytes": "x" * 251 + ".png",
    "signs that formats replace": "%s%n{0}${x}.png",
    "a space alone": " ",
}


@pytest.mark.parametrize("what", NAMES)
def test_odd_name_is_as_good_as_any(place, what):
    root = folder(place / "set", {"good.png": GOOD, NAMES[what]: image(9)})
    outcome = tried(root)
    assert not outcome.skipped
    assert sorted(outcome.images[:, 0, 0, 0].tolist()) == [7, 9]


def test_two_normal_forms_of_a_name_are_two_files(place):
    forms = [unicodedata.normalize(form, "ö.png") for form in ("NFC", "NFD")]
    root = folder(place / "set", dict.fromkeys(forms, GOOD))
    assert len(tried(root).images) == len(list(root.iterdir()))  # macOS takes them for one


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="needs a free name")
def test_name_that_is_not_utf8_is_skipped(place):
    root = folder(place / "set", {"good.png": GOOD})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(GOOD)
    outcome = tried(root)
    assert len(outcome.images) == 1
    assert list(outcome.skipped.values()) == ["has a name that is not UTF-8"]


def test_folder_100_deep(place):
    assert len(tried(folder(place / "set", {"d/" * 100 + "1.png": GOOD})).images) == 1


def test_folder_deeper_than_any_path_is_skipped(place):
    """It can be made step by step, but not opened by its whole name."""
    root = folder(place / "set", {"good.png": GOOD})
    here = Path.cwd()
    os.chdir(root)
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    Path("deep.png").write_bytes(GOOD)
    os.chdir(here)
    outcome = tried(root)
    assert len(outcome.images) == 1
    assert list(outcome.skipped.values()) == ["is a folder that cannot be opened"]


def test_too_many_folders_are_refused(place):
    root = place / "set"
    for i in range(9):
        (root / str(i)).mkdir(parents=True)
    (root / "good.png").write_bytes(GOOD)
    assert len(tried(root, limits=Limits(members=9)).images) == 1
    with pytest.raises(DataError, match="more than 8 files"):
        open_dataset(root, limits=Limits(members=8))


def test_more_files_than_allowed_are_refused(place):
    root = folder(place / "set", {f"{i}.png": GOOD for i in range(9)})
    assert len(tried(root, limits=Limits(members=9)).images) == 9
    assert "more than 8 files" in tried(root, limits=Limits(members=8)).refused


def test_the_same_image_many_times_counts_each_time(place):
    outcome = tried(folder(place / "set", {f"{i}.png": GOOD for i in range(50)}))
    assert len(outcome.images) == 50


SETS = {
    "nothing": ({}, "There is no image in it"),
    "a text": ({"a.txt": b"x"}, "There is no image in it"),
    "an empty folder": ({"cat/": b""}, "There is no image in it"),
    "hidden files alone": ({".a.png": GOOD}, "There is no image in it"),
    "broken images alone": ({"a.png": b"x"}, "None of the files can be read as an image"),
}


@pytest.mark.parametrize("what", SETS)
def test_set_without_an_image_is_refused(place, what):
    files, sentence = SETS[what]
    (place / "set").mkdir()
    assert tried(folder(place / "set", files)).refused.startswith(sentence)
