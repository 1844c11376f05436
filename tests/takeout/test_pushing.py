"""A release to a hub on this machine: what arrives, whose token is used, and what is said."""

import hashlib
import json
import logging
import threading
import time

import pytest

from pe_engine.errors import ConfigError, Interrupted
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.pushing import REFUSALS, PushError, Pushes, Target, push
from tests.takeout.hub_server import TOKEN, serving_hub
from tests.test_export import finished


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its servers are not ours to play
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_theServersOwnToken")
    with serving_hub() as hub:
        yield hub


def target(hub, **changes):
    return Target(**{"name": "ann/moles", "token": TOKEN, "endpoint": hub.address, **changes})


def pushed(hub, stop=None, **changes):
    told = []
    url = push(finished(), Choice(), target(hub, **changes), told.append, stop or threading.Event())
    return url, told


def ended(pushes, key):
    deadline = time.monotonic() + 60
    while pushes.of(key).state == "working":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return pushes.of(key)


def test_all_files_arrive_in_a_private_data_set(hub):
    url, told = pushed(hub)
    assert url == f"{hub.address}/datasets/ann/moles"
    assert hub.created["name"] == "moles" and hub.created["type"] == "dataset"
    assert hub.created.get("private") is True or hub.created.get("visibility") == "private"
    entries = json.loads(hub.files["manifest.json"])["files"]
    assert set(hub.files) == {*entries, "manifest.json"}
    for name, entry in entries.items():
        assert entry["sha256"] == hashlib.sha256(hub.files[name]).hexdigest()
    assert told[-1] == len(hub.files)


def test_only_the_visitors_token_is_used_and_it_stays_in_no_text(hub, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    pushed(hub)
    assert hub.seen == {f"Bearer {TOKEN}"}
    hub.refuse = {"/commit/main": 500}
    with pytest.raises(PushError) as failure:
        pushed(hub, name="more")
    texts = [repr(target(hub)), repr(failure.value), caplog.text, *capfd.readouterr()]
    assert failure.value.__cause__ is None and failure.value.__suppress_context__
    assert not [text for text in texts if TOKEN in text]


@pytest.mark.parametrize("status", [401, 403, 409, 429])
def test_refusals_are_said_in_clear_words(hub, status):
    hub.refuse = {"/api/repos/create": status}
    with pytest.raises(PushError) as failure:
        pushed(hub)
    assert str(failure.value) == REFUSALS[status]
    assert hub.files == {}


def test_a_token_that_is_not_known_is_refused(hub):
    with pytest.raises(PushError, match="does not know this token"):
        pushed(hub, token="hf_ofNobody")


def test_without_a_network_it_says_so(hub):
    with pytest.raises(PushError, match="Connect to the internet"):
        pushed(hub, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("name", "token"),
    [("", TOKEN), ("a/b/c", TOKEN), ("../x", TOKEN), ("a b", TOKEN), ("ok", ""), ("ok", "a\nb c")],
)
def test_what_can_be_no_name_or_token_is_refused_before_anything_is_sent(name, token):
    with pytest.raises(ConfigError) as failure:
        Target(name, token)
    assert not token or token not in str(failure.value)


def test_a_push_that_is_stopped_commits_nothing(hub):
    stop = threading.Event()
    hub.before_upload = stop.set
    with pytest.raises(Interrupted):
        pushed(hub, stop)
    assert hub.files == {}


def test_pushes_are_followed_and_cancelled(hub):
    pushes, going, on = Pushes(), threading.Event(), threading.Event()

    def wait():
        going.set()
        assert on.wait(60)

    hub.before_upload = wait
    assert pushes.of("run").state == "none"
    pushes.start("run", finished(), Choice(), target(hub))
    assert going.wait(60)
    with pytest.raises(ConfigError, match="already"):
        pushes.start("run", finished(), Choice(), target(hub))
    pushes.cancel("run")
    on.set()
    assert ended(pushes, "run").state == "cancelled"
    pushes.start("run", finished(), Choice(), target(hub))
    done = ended(pushes, "run")
    assert (done.state, done.done, done.error) == ("done", done.total, "")
    assert done.url.endswith("/datasets/ann/moles") and TOKEN not in repr(vars(pushes))


def test_a_push_that_fails_says_why(hub):
    pushes = Pushes()
    hub.refuse = {"/api/repos/create": 409}
    pushes.start("run", finished(), Choice(), target(hub))
    failed = ended(pushes, "run")
    assert (failed.state, failed.error) == ("failed", REFUSALS[409])
