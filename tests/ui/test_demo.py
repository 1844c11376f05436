"""The demo that anybody may use, a Space's own start, and what a server's rules are."""

import os
import time
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from loops import in_event_loop
from over_http import Visitor, serving

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.jobs import JobManager
from pe_engine.quotas import Quota
from pe_engine.snapshot import Status
from pe_engine.storage import RunFolder
from pe_engine.ui import entrance, house
from pe_engine.ui.caps import DEMO_CAPS
from pe_engine.ui.costs import check_work
from pe_engine.ui.fields import preset_config
from pe_engine.ui.server import build_app

SPACE = {"SPACE_ID": "someone/studio", "SYSTEM": "spaces"}
RUNTIME = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "7860"}


def demo_app(home, framed=False):
    return in_event_loop(lambda: build_app(home, "0.0.0.0", None, framed, house=house.demo()))


def config(**changes):
    given = {"dataset_name": "x", "image_size": 64, "num_samples": (300,), "iterations": 5}
    return RunConfig(**given | changes)


def test_nobody_comes_in_without_a_login_unless_it_is_a_demo(tmp_path):
    for given in (None, house.SHARED):
        with pytest.raises(ConfigError, match="--demo"):
            build_app(tmp_path, "0.0.0.0", None, house=given)
    with TestClient(demo_app(tmp_path), base_url="http://studio.example") as client:
        page = client.get("/").text
        assert "This is a shared demo. Do not upload images that you may not share." in page
        assert "They stay on the server" in page
        assert client.get("/who.json").json() == {"may_open_paths": False, "why_not": ""}


def test_the_cookie_lives_in_another_sites_frame(tmp_path):
    with TestClient(demo_app(tmp_path, True), base_url="https://someone-studio.hf.space") as client:
        cookie = client.get("/").headers["set-cookie"]
    assert {"SameSite=None", "Secure", "Partitioned", "HttpOnly"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"iterations": 6}, "at most 5 iterations, not 6"),
        ({"lookahead": 5}, "a look-ahead of at most 4, not 5"),
        ({"num_samples": (1001,)}, "at most 1,000 samples, not 1,001"),
        ({"image_size": 513}, "images of at most 512 pixels a side, not 513"),
        ({"image_size": 512}, "billion pixels"),
    ],
    ids=str,
)
def test_a_run_of_the_demo_is_small(changes, sentence):
    check_work(config(), DEMO_CAPS)
    with pytest.raises(ConfigError, match=sentence):
        check_work(config(**changes), DEMO_CAPS)


@pytest.mark.parametrize("name", ["handwriting", "text"])
def test_the_bundled_presets_fit_into_the_demo(name):
    preset = preset_config(name)
    check_work(replace(preset, image_size=preset.image_size or 64), DEMO_CAPS)


def test_a_visitor_of_the_demo_is_told(tmp_path):
    with serving(demo_app(tmp_path)) as address:
        visitor = Visitor(address)
        answer = visitor.call(
            visitor.events()["start"],
            source={"kind": "example"},
            values={"Iterations": "50", "Data set name": "x"},
        )
        assert "at most 5 iterations" in answer[-1][1][-1]
        visitor.http.close()


def test_a_run_that_takes_too_long_is_stopped_and_says_why(tmp_path, digits, config_of_text):
    manager = JobManager(tmp_path, quota=Quota(seconds=0.2))
    run = manager.submit(replace(config_of_text, num_samples=(3000,), iterations=20), digits)
    assert run.wait(60).status is Status.STOPPED
    assert "lets a run work for 0 s at most" in run.snapshot.notices[-1]
    manager.close()


@pytest.fixture
def config_of_text():
    return RunConfig(
        dataset_name="digits", iterations=1, num_samples=(30,), lookahead=0, epsilon=5.0
    )


def test_old_runs_are_deleted_and_others_are_not(tmp_path, digits, config_of_text):
    manager = JobManager(tmp_path)
    old, new = (manager.submit(config_of_text, digits) for _ in range(2))
    assert old.wait(60).status is new.wait(60).status is Status.DONE
    long_ago = time.time() - 1000
    for place in (old.folder, old.folder / "generations"):
        os.utime(place, (long_ago, long_ago))
    assert manager.delete_older(500) == 1
    assert not manager.exists(old.run_id) and manager.exists(new.run_id)
    manager.close()


def test_a_space_listens_where_it_is_looked_for():
    assert entrance.place(None, None, {}) == ("127.0.0.1", None)
    assert entrance.place(None, None, RUNTIME) == ("127.0.0.1", None)  # no Space
    assert entrance.place(None, None, SPACE) == ("0.0.0.0", 7860)
    assert entrance.place(None, None, SPACE | RUNTIME) == ("0.0.0.0", 7860)
    assert entrance.place("127.0.0.1", 8000, SPACE | RUNTIME) == ("127.0.0.1", 8000)


def test_a_space_keeps_its_runs_in_its_bucket(tmp_path, monkeypatch):
    assert entrance.mounted(SPACE, tmp_path) is None  # a folder of the Space's own disk
    monkeypatch.setattr(os.path, "ismount", lambda _: True)
    assert entrance.mounted({}, tmp_path) is None
    assert entrance.mounted(SPACE, tmp_path) == tmp_path


def test_a_space_without_a_bucket_says_so():
    told = entrance.rules(False, "0.0.0.0", object(), SPACE).notices
    assert told == (entrance.FORGETFUL,)
    assert entrance.rules(False, "0.0.0.0", object(), SPACE | {"PE_HOME": "/x"}).notices == ()
    assert entrance.rules(False, "127.0.0.1", None, {}) == house.LOCAL
    assert entrance.rules(True, "127.0.0.1", None, {}).open


def test_a_demo_on_a_space_asks_nobody_to_log_in():
    oauth = dict.fromkeys(entrance.OF_A_SPACE, "x") | SPACE
    assert entrance.entrance([], dict(oauth)) is not None
    assert entrance.entrance([], dict(oauth), demo=True) is None
    named = {"PE_AUTH": "ann:a-long-password"} | oauth
    assert entrance.entrance([], named, demo=True) is not None


@pytest.mark.parametrize(
    ("said", "open_to_all"),
    [("1", True), ("true", True), ("ON", True)]
    + [(word, False) for word in ("", "0", "false", "no", "off", "False", "perhaps")],
)
def test_only_a_clear_word_opens_the_demo(said, open_to_all):
    assert entrance.wants_demo({"PE_DEMO": said}) is open_to_all
    assert not entrance.wants_demo({})


def test_a_link_to_watch_works_in_another_sites_frame(tmp_path):
    with TestClient(demo_app(tmp_path, True), base_url="https://someone-studio.hf.space") as client:
        link = f"/?run={'a' * 32}&watch={'b' * 32}"
        cookie = client.get(link, follow_redirects=False).headers["set-cookie"]
    assert cookie.startswith("pe-watch-") and "SameSite=None; Secure; Partitioned" in cookie


def test_a_run_that_cannot_be_deleted_keeps_no_other(tmp_path, digits, config_of_text, monkeypatch):
    manager = JobManager(tmp_path)
    stuck, other = (manager.submit(config_of_text, digits) for _ in range(2))
    assert stuck.wait(60).status is other.wait(60).status is Status.DONE
    delete = RunFolder.delete

    def fails_once(folder):
        monkeypatch.setattr(RunFolder, "delete", delete)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(RunFolder, "delete", fails_once)
    assert manager.delete_older(-1000) == 1
    assert manager.delete_older(-1000) == 1
    manager.close()
