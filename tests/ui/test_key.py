"""The key of whoever owns the machine, on a server without a login."""

import re
import subprocess
import sys

import pytest
from chromium import ROOT, free_port, wait_for
from fastapi.testclient import TestClient
from test_handlers import QUICK
from visitors import LOCAL, local_app, shared_app, shared_client

from pe_engine.jobs import JobManager
from pe_engine.ownership import write_owner
from pe_engine.ui import house
from pe_engine.ui.handlers import Handlers
from pe_engine.ui.identity import STRANGER, identity
from pe_engine.ui.local_visitors import WRONG_KEY, machines_owner
from pe_engine.ui.owner_key import FILE, OwnerKey
from pe_engine.ui.uploads import Uploads
from pe_engine.ui.who_routes import NO_KEY

RUN = "a" * 32
OWNER, KEYLESS = (
    {"may_open_paths": True, "why_not": ""},
    {
        "may_open_paths": False,
        "why_not": NO_KEY,
    },
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def app(home):
    return local_app(home)


@pytest.fixture
def browser(app):
    """Opens a new browser."""
    return lambda: TestClient(app, base_url=LOCAL, follow_redirects=False)


def who(client, **headers):
    return client.get("/who.json", headers=headers).json()


def test_the_key_is_kept_for_its_owner_alone_and_outlasts_the_server(tmp_path):
    made = OwnerKey(tmp_path)
    path = tmp_path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch("[0-9a-f]{64}", made.value)
    path.chmod(0o644)
    assert OwnerKey(tmp_path).value == made.value == path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    for damaged in ("", "short", "é" * 64):
        path.write_text(damaged)
        assert OwnerKey(tmp_path).value not in (damaged, made.value)


def test_only_the_whole_key_fits(tmp_path):
    key = OwnerKey(tmp_path)
    assert key.fits(key.value)
    for wrong in ("", key.value[:-1], key.value + "0", key.value.upper() + "x", "\ud800"):
        assert not key.fits(wrong)


def test_the_address_with_the_key_makes_a_browser_the_owners(app, browser):
    client = browser()
    answer = client.get(f"{app.state.address}&run={RUN}&empty=")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?run={RUN}&empty=")
    assert answer.headers["cache-control"] == "no-store"
    cookie = answer.headers["set-cookie"]
    assert re.match("pe-owner-[0-9]+=[0-9a-f]{64}; Path=/; HttpOnly; Max-Age=", cookie)
    assert "SameSite=Lax" in cookie
    assert who(client) == OWNER
    assert browser().get(app.state.address).headers["location"] == "/"


@pytest.mark.parametrize("key", ["", "0" * 64, "x"])
def test_a_wrong_key_is_taken_out_of_the_address_and_opens_nothing(browser, key):
    client = browser()
    answer = client.get(f"/?run={RUN}&key={key}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?run={RUN}")
    assert "set-cookie" not in answer.headers
    assert client.get("/").is_success
    assert who(client) == KEYLESS


def test_a_program_may_send_the_key_as_a_bearers(app, browser):
    key = app.state.address.partition("=")[2]
    assert who(browser(), Authorization=f"Bearer {key}") == OWNER
    answer = browser().get("/who.json", headers={"Authorization": "Bearer " + key[:-1]})
    assert (answer.status_code, answer.json()["detail"]) == (401, WRONG_KEY)
    client = browser()
    client.get("/")
    assert who(client, Authorization="Basic eDp5") == KEYLESS  # a proxy's own


def test_the_owner_has_what_the_browser_made_before_and_what_the_command_line_made(tmp_path):
    browser = identity("browser", "1" * 32, local=True)
    other = identity("browser", "2" * 32, local=True)
    owner = machines_owner(browser)
    assert owner.owns(browser.owner) and owner.owns(owner.owner) and owner.owns(None)
    assert not owner.owns(other.owner) and not owner.owns(identity("account", "ann").owner)
    assert not any(machines_owner().owns(whose) for whose in ("", other.owner))
    assert not any(browser.owns(whose) for whose in (None, "", owner.owner, other.owner))
    assert not any(STRANGER.owns(whose) for whose in (None, "", owner.owner))


def test_runs_of_a_browser_stay_its_own_once_it_has_the_key(app, browser, home):
    client, other = browser(), browser()
    client.get("/"), other.get("/")
    plain = client.cookies["pe-browser"]
    folder = home / "runs" / RUN
    folder.mkdir()
    (folder / "run.json").touch()
    write_owner(folder, identity("browser", plain).owner)
    before = client.get(f"/runs/{RUN}/report.html").json()
    missing = other.get(f"/runs/{RUN}/report.html").json()
    assert before != missing  # it is there, though it cannot be read
    client.get(app.state.address)
    assert client.get(f"/runs/{RUN}/report.html").json() == before
    other.get(app.state.address)
    assert other.get(f"/runs/{RUN}/report.html").json() == missing


@pytest.fixture
def handlers(tmp_path):
    manager = JobManager(tmp_path)
    yield Handlers(Uploads(tmp_path), manager, house.LOCAL)
    manager.close()


@pytest.mark.parametrize(
    "asked",
    [
        {"initial": "/etc/samples.npz"},
        {"generator": "image_pool", "options": [("folder", "/etc")]},
        {"generator": "stable_diffusion", "options": [("model", "/etc")]},
    ],
    ids=str,
)
def test_without_the_key_no_path_is_opened(handlers, asked):
    options = asked.get("options", [])
    fields = QUICK | {name: text for name, text in asked.items() if name != "options"}
    keyless = identity("browser", "1" * 32, local=True)
    problem = handlers.start(keyless, {"kind": "example"}, fields, options)[-1]
    assert "This server" in problem and "app.py printed" in problem
    problem = handlers.start(machines_owner(), {"kind": "example"}, fields, options)[-1]
    assert problem and "app.py printed" not in problem


def test_a_server_with_a_login_has_no_key(tmp_path):
    app = shared_app(tmp_path)
    assert app.state.address == "/"
    assert not (tmp_path / FILE).exists()
    client = shared_client(app)
    assert who(client) == {"may_open_paths": False, "why_not": ""}
    assert client.get("/?key=" + "0" * 64).is_success


def test_the_program_prints_the_address_with_the_key(tmp_path):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--no-browser", "--port", str(port)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        key = (tmp_path / FILE).read_text()
        assert f"http://127.0.0.1:{port}/?key={key} " in line
        wait_for(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.communicate(timeout=30)
