"""From the network or a file to a folder that is there complete, or not at all."""

import errno
import hashlib
from dataclasses import replace

import pytest

from pe_engine.cli import main
from pe_engine.data import open_dataset
from pe_engine.datasets import DATASETS, preparing
from pe_engine.datasets.preparing import prepare
from pe_engine.errors import DataError


def names_in(folder):
    """Of every file and folder in it, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def refused(tmp_path, *archive):
    with pytest.raises(DataError) as caught:
        prepare("cifar10", tmp_path / "cifar", *archive, say=lambda _: None)
    assert not (tmp_path / "cifar").exists()
    assert not (tmp_path / ".cifar.new").exists()
    return str(caught.value)


def test_a_download_becomes_a_folder_ready_for_a_run(tmp_path, server, capsys):
    destination = tmp_path / "my data" / "cifar"
    assert main(["data", "cifar10", str(destination)]) == 0
    said = capsys.readouterr()
    assert "Its SHA-256 is the published one." in said.out
    assert f"{destination}/cifar10_train: 100 images" in said.out
    assert "run '" in said.out
    assert said.err == ""  # bars are for terminals
    assert names_in(destination) == ["cifar10_test", "cifar10_train"]
    assert names_in(destination.parent) == ["cifar"]  # nothing stays beside it
    dataset = open_dataset(destination / "cifar10_train")
    assert len(dataset) == 100
    assert dataset.rule == "prefix"
    assert dataset.class_names == (
        *("bird", "car", "cat", "deer", "dog", "frog", "horse", "plane", "ship", "truck"),
    )


def test_an_archive_fetched_by_hand_is_left_alone(tmp_path, cifar):
    archive = tmp_path / "by hand.tar.gz"
    archive.write_bytes(cifar)
    (tmp_path / "cifar").mkdir()  # an empty folder is taken
    prepare("cifar10", tmp_path / "cifar", archive, say=lambda _: None)
    assert names_in(tmp_path) == ["by hand.tar.gz", "cifar"]
    assert archive.read_bytes() == cifar


def test_offline_it_says_what_to_fetch_and_how_to_go_on(tmp_path, cifar, capsys):
    assert main(["data", "cifar10", str(tmp_path / "cifar")]) == 2
    said = capsys.readouterr().err
    assert "127.0.0.1 cannot be reached from here" in said
    for part in (
        DATASETS["cifar10"].url,
        DATASETS["cifar10"].sha256,
        f"{len(cifar) / 1000:.0f} kB",
    ):
        assert part in said
    command = said[said.index("python -m pe_engine ") :].split()[3:]
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(cifar)
    assert main(command) == 0  # as it stands there
    assert names_in(tmp_path / "cifar") == ["cifar10_test", "cifar10_train"]


def test_a_name_that_is_not_known_counts_as_offline(tmp_path, cifar, monkeypatch):
    nowhere = replace(DATASETS["cifar10"], url="http://nowhere.invalid/x.tar.gz")
    monkeypatch.setitem(DATASETS, "cifar10", nowhere)
    assert "nowhere.invalid cannot be reached from here" in refused(tmp_path)


def test_a_download_that_broke_goes_on_where_it_was(tmp_path, server, cifar):
    server.cut = 10_000
    said = refused(tmp_path)
    assert "the connection to 127.0.0.1 broke after 10 kB" in said
    assert "same command again: it goes on" in said
    server.cut = None
    prepare("cifar10", tmp_path / "cifar", say=lambda _: None)
    assert server.asked == [None, "bytes=10000-"]
    assert names_in(tmp_path) == ["cifar"]


def test_a_server_that_cannot_start_midway_begins_anew(tmp_path, server):
    server.cut, server.ranges = 10_000, False
    refused(tmp_path)
    server.cut = None
    prepare("cifar10", tmp_path / "cifar", say=lambda _: None)
    assert names_in(tmp_path) == ["cifar"]


def test_all_was_there_but_its_name(tmp_path, server, cifar):
    (tmp_path / ".cifar.part").write_bytes(cifar)
    prepare("cifar10", tmp_path / "cifar", say=lambda _: None)
    assert names_in(tmp_path) == ["cifar"]


def test_what_is_no_part_of_the_file_is_forgotten(tmp_path, server, cifar):
    (tmp_path / ".cifar.part").write_bytes(cifar + b"more")
    assert "is no part of the file" in refused(tmp_path)
    assert names_in(tmp_path) == []


def test_a_checked_download_is_not_fetched_twice(tmp_path, server, cifar):
    (tmp_path / ".cifar.archive").write_bytes(cifar)  # cut off while images were written
    (tmp_path / ".cifar.new").mkdir()
    prepare("cifar10", tmp_path / "cifar", say=lambda _: None)
    assert server.asked == []
    assert names_in(tmp_path) == ["cifar"]


@pytest.mark.parametrize("by_hand", [True, False])
def test_another_file_is_refused_before_it_is_opened(tmp_path, server, cifar, by_hand, monkeypatch):
    server.content = other = cifar[:-1] + b"x"
    monkeypatch.setattr(preparing.importlib, "import_module", None)  # no reader is even looked for
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(other)
    said = refused(tmp_path, *[archive] * by_hand)
    assert f"SHA-256 {hashlib.sha256(other).hexdigest()} instead of" in said
    assert names_in(tmp_path) == ["a.tar.gz"]  # nothing to begin with the next time


def test_a_file_that_never_ends_is_refused(tmp_path, server, cifar):
    server.content = cifar * 3
    assert "so it is another file" in refused(tmp_path)
    assert (tmp_path / ".cifar.part").stat().st_size == 0


def test_what_the_server_answers_is_said(tmp_path, server):
    server.status = 404
    assert "127.0.0.1 answers 404 Not Found" in refused(tmp_path)


def test_other_files_are_never_touched(tmp_path, server):
    (tmp_path / "cifar").mkdir()
    (tmp_path / "cifar" / "mine").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        prepare("cifar10", tmp_path / "cifar")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        prepare("cifar10", tmp_path / "file")
    assert names_in(tmp_path / "cifar") == ["mine"]
    assert server.asked == []


def test_a_missing_file_is_said(tmp_path, cifar):
    assert "There is no file" in refused(tmp_path, tmp_path / "nothing.tar.gz")


def test_room_is_looked_for_before_anything_is_fetched(tmp_path, server, monkeypatch):
    greedy = replace(DATASETS["cifar10"], room=10**18)
    monkeypatch.setitem(DATASETS, "cifar10", greedy)
    said = refused(tmp_path)
    assert "1e+09 GB of disk are needed" in said
    assert server.asked == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_keeps_the_download(tmp_path, server, cifar, number, monkeypatch):
    def full(_):
        raise OSError(number, "full")

    monkeypatch.setattr(preparing, "png_bytes", full)
    said = refused(tmp_path)
    assert f"The disk at {tmp_path} is full" in said
    assert (tmp_path / ".cifar.archive").read_bytes() == cifar


def test_a_stop_leaves_no_half_folder(tmp_path, server, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparing, "png_bytes", stop)
    assert main(["data", "cifar10", str(tmp_path / "cifar")]) == 130
    assert names_in(tmp_path) == [".cifar.archive"]


def test_cats_are_only_given_to_people(tmp_path, capsys):
    assert main(["data", "cat", str(tmp_path / "cats")]) == 2
    said = capsys.readouterr().err
    assert "https://www.kaggle.com/datasets/fjxmlzn/cat-cookie-doudou" in said
    assert f"data cat {tmp_path}/cats --from {tmp_path}/cat-cookie-doudou.zip" in said


@pytest.mark.parametrize("name", DATASETS)
def test_the_table_is_sound(name):
    dataset = DATASETS[name]
    assert len(dataset.sha256) in (0, 64)
    assert (dataset.size > 0) == bool(dataset.url)
