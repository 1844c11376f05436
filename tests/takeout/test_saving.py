"""Files land where the user says, and nothing is overwritten."""

import time

import pytest

from pe_engine.errors import ConfigError
from pe_engine.takeout import saving
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.package import number_of_files
from pe_engine.takeout.saving import folder_name, keep_copy, save
from pe_engine.titles import write_title
from tests.test_export import export, finished


def files(folder):
    return sum(path.is_file() for path in folder.rglob("*"))


def test_a_release_is_saved_below_a_folder_that_is_made(tmp_path):
    place = save(finished(), Choice(format="webp"), tmp_path / "new" / "one", "mine")
    assert place == tmp_path / "new" / "one" / "mine"
    assert files(place) == number_of_files(finished())
    assert [path.name for path in place.parent.iterdir()] == ["mine"]


def test_what_lies_there_stays_as_it_is(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("kept")
    (tmp_path / "mine 2").write_text("a file")
    place = save(finished(), Choice(), tmp_path, "mine")
    assert place.name == "mine 3"
    assert (tmp_path / "mine" / "precious.txt").read_text() == "kept"
    assert (tmp_path / "mine 2").read_text() == "a file"


def test_a_release_that_was_cut_off_is_not_there_at_all(tmp_path, monkeypatch):
    def full(*_):
        yield 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_folder", full)
    with pytest.raises(OSError, match="No space"):
        save(finished(), Choice(), tmp_path, "mine")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_are_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Choose another"):
        save(finished(), Choice(), tmp_path / "file" / "below", "mine")
    with pytest.raises(ConfigError, match="whole path"):
        save(finished(), Choice(), tmp_path.relative_to("/"), "mine")


def test_a_folder_is_called_by_the_title_or_the_day():
    day = time.struct_time((2026, 11, 24, 0, 0, 0, 0, 0, 0))
    assert folder_name("", day) == "2026-11-24"
    assert folder_name("Moles, 2nd try", day) == "Moles 2nd try"
    assert folder_name("../../etc/passwd") == "etc passwd"
    assert folder_name("...", day) == "2026-11-24"


def test_a_finished_run_is_copied_by_its_title(tmp_path):
    run = tmp_path / "run"
    export(run)
    write_title(run, "Moles")
    places = [keep_copy(run, tmp_path / "out") for _ in range(2)]
    assert [place.name for place in places] == ["Moles", "Moles 2"]
    assert (places[0] / "images" / "metadata.jsonl").is_file()


def test_a_copy_that_cannot_be_made_is_said_and_no_failure(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    export(tmp_path / "run")
    assert keep_copy(tmp_path / "run", tmp_path / "file") is None
    assert "was not copied" in caplog.text
