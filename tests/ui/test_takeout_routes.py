"""The routes of taking out, without a browser: pieces, places, who may, and what is said."""

import io
import json
import time
import zipfile
from dataclasses import dataclass

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from pe_engine.config import RunConfig
from pe_engine.jobs import JobManager
from pe_engine.ownership import write_owner
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Run
from pe_engine.snapshot import Status
from pe_engine.starting import start_run
from pe_engine.ui.identity import identity
from pe_engine.ui.on_demand import Counted, OnDemand, Places, TooMany
from pe_engine.ui.takeout_routes import takeout_router
from tests.takeout.hub_server import TOKEN, serving_hub

RUN = "5" * 32
OWNER = identity("browser", "ann", may_open_paths=True)
GUEST = identity("browser", "ann")
OTHER = identity("browser", "bob", may_open_paths=True)
NAMES = ("ward-seven", "melanoma")


@dataclass
class Studio:
    """A server with one finished run of ``OWNER``'s; ``who`` asks."""

    client: TestClient
    hub: object
    who: object = OWNER

    def get(self, path, **params):
        return self.client.get(f"/runs/{RUN}/{path}", params=params)

    def send(self, path, method="POST", **body):
        return self.client.request(method, f"/runs/{RUN}/{path}", content=json.dumps(body))


@pytest.fixture(scope="module")
def made(tmp_path_factory, digits):
    """A home with a finished run whose data set has a private name."""
    home = tmp_path_factory.mktemp("home")
    ledger, folder = Ledger(home), home / "runs" / RUN
    folder.parent.mkdir()
    config = RunConfig(dataset_name="ward-seven", iterations=2, num_samples=(30,), epsilon=5.0)
    run = Run(folder, ledger, start_run(folder, config, digits, ledger, run_id=RUN))
    run.start()
    assert run.wait().status is Status.DONE
    write_owner(folder, OWNER.owner)
    return home


@pytest.fixture
def studio(made, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    manager, app = JobManager(made), FastAPI()
    with serving_hub() as hub:
        studio = Studio(TestClient(app), hub)

        @app.middleware("http")
        async def who_asks(request: Request, call_next):
            request.scope.setdefault("state", {})["who"] = studio.who
            return await call_next(request)

        app.include_router(takeout_router(manager, owner=False, hub=hub.address))
        with studio.client:
            yield studio
    manager.close()


def test_a_zip_is_sent_in_pieces_as_it_is_made(studio):
    answer = studio.get("download.zip", generation=1, format="jpeg", size=40, layout="flat")
    assert answer.headers["content-type"] == "application/zip"
    assert "content-length" not in answer.headers  # nobody knows it before it is made
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        told = json.loads(archive.read("manifest.json"))
        assert "images/000029.jpg" in archive.namelist()
        everything = b"".join(map(archive.read, archive.namelist()))
    assert told["samples"]["generation"] == 1
    assert not [name for name in NAMES if name.encode() in everything]


def test_what_cannot_be_chosen_is_said(studio):
    for params, status, words in (
        ({"format": "bmp"}, 400, "png, jpeg, webp"),
        ({"size": 5000}, 400, "from 8 to 2048"),
        ({"generation": 7}, 404, "not finished"),
    ):
        answer = studio.get("download.zip", **params)
        assert answer.status_code == status and words in answer.json()["detail"]


def test_reports_and_animations_are_made_once(studio, monkeypatch):
    from pe_engine.ui import takeout_routes

    first = [studio.get(name).content for name in ("report.pdf", "evolution.gif", "evolution.webp")]
    assert [content[:4] for content in first] == [b"%PDF", b"GIF8", b"RIFF"]
    monkeypatch.setattr(takeout_routes, "report_pdf", None)
    monkeypatch.setattr(takeout_routes, "evolution", None)
    again = [studio.get(name).content for name in ("report.pdf", "evolution.gif", "evolution.webp")]
    assert again == first


def test_only_the_machines_owner_names_a_folder_on_it(studio, tmp_path):
    studio.who = GUEST
    assert studio.get("takeout.json").json()["folder"] is None
    refused = studio.send("save", folder=str(tmp_path / "mine"))
    assert refused.status_code == 403 and "owns this computer" in refused.json()["detail"]
    assert list(tmp_path.iterdir()) == []
    studio.who = OWNER
    assert studio.get("takeout.json").json()["side"] == 28
    answer = studio.send("save", folder=str(tmp_path / "mine"), format="webp")
    assert answer.json()["path"].startswith(str(tmp_path / "mine"))
    assert len(list(tmp_path.rglob("*.webp"))) == 30


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Type the folder"),
        ({"folder": "a/b"}, "whole path"),
        ({"folder": "/x/\ud800"}, "Type the folder"),  # half a character
        ({"folder": "/x", "size": "big"}, "The size is not one"),
        ({"folder": ["/x"]}, "Type the folder"),
        ({"folder": "/x", "quality": True}, "The quality is not one"),
    ],
)
def test_bad_requests_to_save_are_answered_in_words(studio, body, words):
    answer = studio.send("save", **body)
    assert answer.status_code == 400 and words in answer.json()["detail"]


def test_a_run_is_sent_to_the_hub_with_the_visitors_token(studio):
    assert studio.get("hub").json()["state"] == "none"
    begun = studio.send("hub", repo="ann/digits", token=TOKEN, format="webp", private=False)
    assert begun.status_code == 200 and TOKEN not in begun.text
    deadline = time.monotonic() + 60
    while (told := studio.get("hub")).json()["state"] == "working":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert told.json()["state"] == "done" and told.json()["url"].endswith("/datasets/ann/digits")
    assert TOKEN not in told.text and studio.hub.seen == {f"Bearer {TOKEN}"}
    assert sum(name.endswith(".webp") for name in studio.hub.files) == 30
    assert not [n for n in NAMES if n.encode() in b"".join(studio.hub.files.values())]
    for body in ({"repo": "a b", "token": TOKEN}, {"repo": "ok"}, {"token": TOKEN}):
        assert studio.send("hub", **body).status_code == 400
    assert studio.send("hub", method="DELETE").json()["state"] == "done"


def test_another_visitor_finds_nothing(studio):
    studio.who = OTHER
    for path in ("download.zip", "report.pdf", "evolution.gif", "takeout.json", "hub"):
        assert studio.get(path).status_code == 404
    for path in ("save", "hub"):
        assert studio.send(path, folder="/x", repo="x", token=TOKEN).status_code == 404


# On demand --------------------------------------------------------------------------------------


def test_results_are_kept_and_the_oldest_go():
    kept, asked = OnDemand(most=2), []

    def make(key):
        return kept.get(key, lambda: asked.append(key) or key.encode())

    assert [make(key) for key in "abab"] == [b"a", b"b", b"a", b"b"] and asked == ["a", "b"]
    make("c")
    make("b")
    make("a")
    assert asked == ["a", "b", "c", "a"]


def test_each_visitor_has_a_few_places():
    places = Places(most=2)
    with places.of(OWNER), places.of(OWNER):
        with pytest.raises(TooMany), places.of(OWNER):
            pass
        with places.of(OTHER):
            pass
    with places.of(OWNER), places.of(OWNER):
        pass


def test_a_stream_keeps_its_place_until_it_ends():
    places, app = Places(most=1), FastAPI()

    @app.get("/")
    def stream():
        return Counted(pieces(), places, OWNER)

    def pieces():
        with pytest.raises(TooMany), places.of(OWNER):
            pass
        yield b"one"

    with TestClient(app) as client:
        assert client.get("/").content == b"one"
        assert client.get("/").content == b"one"
        with places.of(OWNER):
            assert client.get("/").status_code == 429
