"""Two visitors of one server, over real HTTP: neither learns of the other's runs and uploads, nor
touches them. Every address and every event of the page is tried; one that is new must be added.
"""

import re
import threading
import time
from dataclasses import dataclass, replace
from secrets import token_hex

import httpx
import pytest
from over_http import Visitor, serving
from visitors import ACCOUNTS, demo_app, local_app, shared_app

from pe_engine.ownership import read_owner
from pe_engine.ui import gate, uploads
from pe_engine.ui.identity import Identity

NO_RUN, NO_UPLOAD = "0" * 32, "1" * 32
QUICK = {"Iterations": "1", "Samples": "30", "ε (epsilon)": "5", "Data set name": "digits"}
LONG = QUICK | {"Iterations": "5", "Samples": "300"}  # as much as a demo takes
BODY = b"\x05\x00\x01\x00\x00\x00b.png1"

# How each address is tried, with values for what stands in braces.
PATHS = {
    ("GET", "/runs/{run_id}/gallery/{generation}.json"),
    ("GET", "/runs/{run_id}/images/{generation}/{index}.png"),
    ("GET", "/runs/{run_id}/votes/{generation}.png"),
    ("GET", "/runs/{run_id}/preview.png"),
    ("GET", "/runs/{run_id}/curves.json"),
    ("GET", "/runs/{run_id}/family/{generation}/{index}.json"),
    ("GET", "/runs/{run_id}/family/{generation}/{index}.png"),
    ("GET", "/runs/{run_id}/synthetic.zip"),
    ("GET", "/runs/{run_id}/report.html"),
    ("GET", "/runs"),
    ("GET", "/runs/{run_id}/thumbnail/{generation}.png"),
    ("GET", "/runs/{run_id}/command.json"),
    ("GET", "/runs/{run_id}/cost.json"),
    ("POST", "/runs/{run_id}/stop"),
    ("POST", "/runs/{run_id}/finish"),
    ("POST", "/runs/{run_id}/sooner"),
    ("PUT", "/runs/{run_id}/title"),
    ("DELETE", "/runs/{run_id}"),
    ("DELETE", "/runs"),
    ("GET", "/runs/{run_id}/download.zip"),
    ("GET", "/runs/{run_id}/report.pdf"),
    ("GET", "/runs/{run_id}/evolution.gif"),
    ("GET", "/runs/{run_id}/evolution.webp"),
    ("GET", "/runs/{run_id}/takeout.json"),
    ("POST", "/runs/{run_id}/save"),
    ("GET", "/runs/{run_id}/hub"),
    ("POST", "/runs/{run_id}/hub"),
    ("DELETE", "/runs/{run_id}/hub"),
    ("POST", "/runs/{run_id}/link"),
    ("DELETE", "/runs/{run_id}/link"),
    ("POST", "/uploads"),
    ("POST", "/uploads/{token}/files"),
    ("POST", "/uploads/{token}/zip"),
    ("POST", "/uploads/{token}/finish"),
    ("DELETE", "/uploads/{token}"),
}

ASKED = {"offset": 0, "generation": 1, "iterations": 2, "epsilon": 1}
DELETES_RUNS = {("DELETE", "/runs/{run_id}"), ("DELETE", "/runs")}

# The page's events: those that name a run, those that name an upload, and the others.
OF_RUNS = {
    "attach",
    "attach_by_address",
    "restore",
    "stop",
    "resume",
    "delete",
    "like",
}
OF_UPLOADS = {
    "describe_and_name",
    "describe",
    "name_classes",
    "declare_classes",
    "take_census",
    "classes",
    "classes_renamed",
    "start",
}
OTHERS = {"budget", "spent_so_far", "lambda", "leave", "fill"}


@dataclass
class Two:
    """Two visitors, and what the first one has."""

    mine: Visitor
    other: Visitor
    home: object
    app: object
    run_id: str
    growing: str
    finished: str

    def source(self, token):
        return {"kind": "upload", "token": token, "name": "x"}


def addresses(routes, prefix=""):
    """(method, path) of every route of ours."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from addresses(inner.routes, prefix)
        elif getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods)


def send_upload(visitor, path):
    token = visitor.http.post("/uploads").json()["token"]
    sent = visitor.http.post(f"/uploads/{token}/zip?offset=0", content=path.read_bytes())
    assert sent.is_success
    assert visitor.http.post(f"/uploads/{token}/finish").is_success
    return token


def start(visitor, source, values):
    answer = visitor.call(visitor.events()["start"], source=source, values=values)
    run_id = answer[-1][1][0]
    assert re.fullmatch("[0-9a-f]{32}", run_id), answer
    return run_id


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module", params=["owner", "browser", "account", "demo"])
def served(request, tmp_path_factory, digits):
    """A server where the first of two visitors has a finished run.

    On a local one the first or the second has the owner's key.
    """
    home = tmp_path_factory.mktemp("home")
    app = {"account": shared_app, "demo": demo_app}.get(request.param, local_app)(home)
    accounts = ACCOUNTS.items() if request.param == "account" else [None, None]
    entries = [app.state.address, "/"][:: 1 if request.param == "owner" else -1]
    with serving(app) as address:
        mine, other = (Visitor(address, *each) for each in zip(accounts, entries, strict=True))
        run_id = start(mine, {"kind": "upload", "token": send_upload(mine, digits)}, QUICK)
        until(lambda: mine.http.get(f"/runs/{run_id}/synthetic.zip").is_success)
        yield Two(mine, other, home, app, run_id, "", "")
        for visitor in (mine, other):
            visitor.http.close()


@pytest.fixture
def two(served, digits):
    """The same with new tabs, and an unfinished and a finished upload of the first visitor."""
    mine = served.mine
    mine.session, served.other.session = token_hex(8), token_hex(8)
    growing = mine.http.post("/uploads").json()["token"]
    mine.http.post(f"/uploads/{growing}/files", content=BODY.replace(b"b.", b"a."))
    finished = send_upload(mine, digits)
    yield replace(served, growing=growing, finished=finished)
    # A run that has ended may still have work to put away, and the process must not end before.
    until(lambda: not any(re.fullmatch("[0-9a-f]{32}", t.name) for t in threading.enumerate()))
    for token in (growing, finished):
        mine.http.delete(f"/uploads/{token}")


def told(answer, *ids):
    """An answer without what names the thing that was asked for, and without the time."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    text = f"{answer.status_code} {headers} {answer.text}"
    for known in ids:
        text = text.replace(known, "ID")
    return text


def check_addresses(two):
    """The other visitor is answered as if nothing were there; the first one is served."""
    known = {a for a in addresses(two.app.routes) if a[1].startswith(("/runs", "/uploads"))}
    assert known == PATHS
    in_order = sorted(PATHS, key=lambda known: (known[0] == "DELETE", known))
    for method, path in in_order:
        for real, made_up in ((two.growing, NO_UPLOAD), (two.finished, NO_UPLOAD)):
            theirs, none = (
                path.format(run_id=run, token=token, generation=1, index=0)
                for run, token in ((two.run_id, real), (NO_RUN, made_up))
            )
            if theirs == none:
                continue
            given = {"content": BODY if method == "POST" else None, "params": ASKED}
            seen = two.other.http.request(method, theirs, **given)
            assert told(seen, two.run_id, real) == told(
                two.other.http.request(method, none, **given), NO_RUN, made_up
            )
            assert seen.status_code == 404 or (method == "DELETE" and seen.status_code == 200)
    assert {two.growing, two.finished} <= {f.name for f in two.home.glob("uploads/*")}
    two.other.http.delete("/runs")
    assert two.other.http.get("/runs").json() == {"total": 0, "runs": []}
    assert two.run_id in two.mine.http.get("/runs").text
    for method, path in in_order:
        if (method, path) in DELETES_RUNS:
            continue
        theirs = path.format(run_id=two.run_id, token=two.growing, generation=1, index=0)
        answer = two.mine.http.request(method, theirs, params=ASKED, content=b"")
        refused = ("done already", "Only who owns this computer")
        served = answer.status_code in (200, 400) or any(text in answer.text for text in refused)
        assert served, theirs


def check_events(two):
    """The same of every event of the page."""
    events = two.other.events()
    assert set(events) == OF_RUNS | OF_UPLOADS | OTHERS
    for event in events.values():
        for token in (two.growing, two.finished):
            answers = [
                repr(
                    two.other.call(
                        event,
                        source=two.source(asked),
                        event_data={"run_id": run},
                        run=run,
                        values=QUICK,
                    )
                )
                for run, asked in ((two.run_id, token), (NO_RUN, NO_UPLOAD))
            ]
            cleaned = [re.sub("'beat': [0-9.]+", "", answer) for answer in answers]
            assert cleaned[0].replace(two.run_id, NO_RUN) == cleaned[1]
    named = (OF_RUNS | OF_UPLOADS) - {"start", "delete"}
    for name in named:
        event = two.mine.events()[name]
        answers = [
            repr(
                two.mine.call(event, source=two.source(token), event_data={"run_id": run}, run=run)
            ).replace(run, NO_RUN)
            for run, token in ((two.run_id, two.finished), (NO_RUN, NO_UPLOAD))
        ]
        assert answers[0] != answers[1], name


def check_sessions(two):
    """A session's name leads nobody into another's session."""
    attach = two.mine.events()["attach"]
    joined = two.mine.send(attach, event_data={"run_id": two.run_id}).json()
    two.other.session = two.mine.session
    assert two.other.listen() == [{"msg": "refused", "status": 404}]
    leave = two.other.events()["leave"]
    other = two.other.send(leave).json()
    assert {m["event_id"] for m in two.other.listen(other["event_id"])} == {other["event_id"]}
    heard = two.mine.listen(joined["event_id"])
    assert {m["event_id"] for m in heard} == {joined["event_id"]}
    assert heard[-1]["msg"] == "process_completed"
    assert any("done" in str(m.get("output")) for m in heard)


def test_no_address_tells_of_anothers_runs_and_uploads(two):
    check_addresses(two)


def test_no_event_tells_of_anothers_runs_and_uploads(two):
    check_events(two)


def test_nobody_listens_to_anothers_session(two):
    check_sessions(two)


@pytest.mark.parametrize("check", [check_addresses, check_events])
def test_the_tests_notice_when_nobody_asks_whose_a_run_is(two, check, monkeypatch):
    monkeypatch.setattr(Identity, "owns", lambda *_: True)
    with pytest.raises(AssertionError):
        check(two)


@pytest.mark.parametrize("check", [check_addresses, check_events])
def test_the_tests_notice_when_nobody_asks_whose_an_upload_is(two, check, monkeypatch):
    def anybodys(self, _, token):
        if token not in self._known:
            raise uploads.NoUpload
        return self._known[token]

    monkeypatch.setattr(uploads.Uploads, "_get", anybodys)
    with pytest.raises(AssertionError):
        check(two)


def test_the_tests_notice_when_a_sessions_name_is_enough(two, monkeypatch):
    monkeypatch.setattr(gate, "session_of", lambda _, name: name)
    with pytest.raises(AssertionError):
        check_sessions(two)


def test_a_run_that_works_is_not_stopped_or_resumed_by_another(two):
    run_id = start(two.mine, two.source(two.finished), LONG)
    until(lambda: two.mine.http.get(f"/runs/{run_id}/gallery/0.json").is_success)
    for trigger in ("stop", "resume", "delete"):
        answer = two.other.call(two.other.events()[trigger], event_data={"run_id": run_id})
        assert "no such run" in str(answer)
    attach = two.mine.events()["attach"]
    two.mine.send(attach, event_data={"run_id": run_id})
    views = two.mine.listen(most=3)
    assert "running" in str(views) and "stopp" not in str(views)
    two.mine.session = "another tab"
    stop = two.mine.events()["stop"]
    assert two.mine.call(stop, event_data={"run_id": run_id})[-1] == (True, [""])
    delete = two.mine.events()["delete"]
    until(lambda: two.mine.call(delete, event_data={"run_id": run_id})[-1] == (True, [""]))
    assert two.mine.http.get(f"/runs/{run_id}/gallery/0.json").status_code == 404


def test_what_is_stored_lets_nobody_in(two):
    folder = two.home / "runs" / two.run_id
    stored = read_owner(folder)
    assert (folder / "owner.json").stat().st_mode & 0o777 == 0o600
    for value in two.mine.http.cookies.values():
        assert value not in (folder / "owner.json").read_text()
    with httpx.Client(base_url=two.mine.address) as intruder:
        for name in (*two.mine.http.cookies, *two.other.http.cookies):
            intruder.cookies.set(name, stored)
        answer = intruder.get(f"/runs/{two.run_id}/synthetic.zip")
    assert answer.status_code in (401, 404)


def test_a_run_of_the_command_line_is_the_machines_owners_alone(two):
    kept = two.home / "runs" / two.run_id / "owner.json"
    kept.rename(kept.with_suffix(".away"))
    address = f"/runs/{two.run_id}/synthetic.zip"
    for visitor in (two.mine, two.other):
        owner = any(name.startswith("pe-owner") for name in visitor.http.cookies)
        assert visitor.http.get(address).status_code == (200 if owner else 404)
    assert httpx.get(two.mine.address + address).status_code in (401, 404)  # without a cookie
    kept.with_suffix(".away").rename(kept)
