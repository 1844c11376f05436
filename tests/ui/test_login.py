"""Logging in: who is asked to, what answers before, wrong passwords, accounts of Hugging Face."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import free_port
from fastapi.testclient import TestClient
from visitors import ACCOUNTS, SHARED, shared_app, shared_client

from pe_engine.errors import ConfigError
from pe_engine.ui import login
from pe_engine.ui.accounts import (
    FAILURES_FROM_ONE_ADDRESS,
    FAILURES_IN_ALL,
    MAX_SESSIONS_OF_ONE,
    SESSION_SECONDS,
    Accounts,
    Failures,
    Sessions,
    network,
    read_accounts,
)
from pe_engine.ui.entrance import OF_A_SPACE, entrance
from pe_engine.ui.identity import write_cookie
from pe_engine.ui.login import PasswordLogin
from pe_engine.ui.server import build_app
from pe_engine.ui.space import SpaceLogin

ROOT = Path(__file__).parent.parent.parent
RUN = "a" * 32
SPACE = {"SPACE_ID": "someone/studio"} | dict.fromkeys(OF_A_SPACE, "given")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return shared_app(tmp_path_factory.mktemp("home"))


@pytest.fixture
def stranger(app):
    return TestClient(app, base_url=SHARED, follow_redirects=False)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(login, "DELAY_SECONDS", 0)


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/evolution.png",
        "/theme.css",
        "/assets/index.js",
        "/static/img/logo.svg",
        "/gradio_api/queue/data?session_hash=x",
        f"/runs/{RUN}/synthetic.zip",
        "/uploads",
        "/config",
        "/nowhere",
    ],
)
def test_nothing_answers_before_the_login(stranger, path):
    for method in ("GET", "POST", "DELETE"):
        answer = stranger.request(method, path)
        assert answer.status_code == 401
        assert answer.json() == {"detail": login.ENDED}


def test_the_page_leads_to_the_login_and_from_there_to_the_run(stranger):
    assert stranger.get("/").headers["location"] == "/login"
    asked = stranger.get(f"/?run={RUN}")
    assert (asked.status_code, asked.headers["location"]) == (303, f"/login?run={RUN}")
    assert f'value="{RUN}"' in stranger.get(f"/login?run={RUN}").text
    fields = {"name": "ann", "password": ACCOUNTS["ann"], "run": RUN}
    answer = stranger.post("/login", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?run={RUN}")
    assert stranger.get("/").is_success


@pytest.mark.parametrize("run", ["//evil.example", '"><script>', "https://evil.example", "x" * 32])
def test_the_login_leads_nowhere_else(stranger, run):
    assert "evil" not in stranger.get("/login", params={"run": run}).text
    assert "<script" not in stranger.get("/login", params={"run": run}).text
    fields = {"name": "ann", "password": ACCOUNTS["ann"], "run": run}
    assert stranger.post("/login", data=fields).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_name_are_one_sentence(stranger, caplog, capfd):
    answers = [
        stranger.post("/login", data={"name": name, "password": password})
        for name, password in [("ann", "wr0ng"), ("nobody", "wr0ng"), ("", ""), ("ann", "")]
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert login.WRONG in answers[0].text
    assert "set-cookie" not in answers[0].headers
    told = caplog.text + "".join(capfd.readouterr())
    assert "wr0ng" not in told and ACCOUNTS["ann"] not in told


def test_too_many_failures_stop_even_the_right_password(tmp_path):
    client = TestClient(shared_app(tmp_path), base_url=SHARED, follow_redirects=False)
    inside = shared_client(client.app, "bob")
    for _ in range(FAILURES_FROM_ONE_ADDRESS):
        assert client.post("/login", data={"name": "ann", "password": "x"}).status_code == 401
    answer = client.post("/login", data={"name": "ann", "password": ACCOUNTS["ann"]})
    assert answer.status_code == 429 and login.TOO_MANY in answer.text
    assert inside.get("/").is_success  # who is in stays in


def test_failures_are_forgotten_after_a_minute_and_capped_in_all():
    now = [0.0]
    failures = Failures(lambda: now[0])
    for i in range(FAILURES_IN_ALL):
        failures.record(f"10.0.{i}.1")
    assert failures.too_many("192.0.2.1")
    now[0] = 61
    assert not failures.too_many("192.0.2.1")
    for i in range(FAILURES_FROM_ONE_ADDRESS):
        failures.record(f"2001:db8:0:1::{i:x}")
    assert failures.too_many("2001:db8:0:1:ffff::1") and not failures.too_many("2001:db8:0:2::1")
    assert network("testclient") == "testclient"


def test_a_session_ends_by_itself_and_by_logging_out(app):
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    token = sessions.begin("ann")
    assert sessions.name(token) == "ann" and sessions.name("x") is sessions.name("") is None
    now[0] = SESSION_SECONDS
    assert sessions.name(token) is None

    client = shared_client(app)
    kept = client.cookies["pe-login"]
    answer = client.post("/logout")
    assert answer.url.path == "/login" and "pe-login" not in client.cookies
    again = TestClient(app, base_url=SHARED, cookies={"pe-login": kept}, follow_redirects=False)
    assert again.get("/").status_code == 303


def test_an_account_has_some_sessions_and_ends_nobody_elses():
    sessions = Sessions()
    ann, *bobs = (sessions.begin(name) for name in ["ann", *["bob"] * (MAX_SESSIONS_OF_ONE + 2)])
    assert [sessions.name(token) for token in bobs[:3]] == [None, None, "bob"]
    assert sessions.name(ann) == "ann" and sessions.name(bobs[-1]) == "bob"


def test_the_page_has_a_way_out_where_there_is_a_way_in(app):
    page = shared_client(app).get("/").text.replace("\\", "")
    assert 'method="post" action="/logout"' in page


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 404),
        ("HEAD", {"sec-fetch-site": "same-origin"}, 404),
        ("POST", {"origin": "https://evil.example"}, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", {"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_no_other_site_logs_a_person_out(app, method, headers, status):
    client = shared_client(app)
    assert client.request(method, "/logout", headers=headers).status_code == status
    assert client.get("/theme.css").is_success


def test_the_cookies_flags():
    lan, tls = {"scheme": "http"}, {"scheme": "https"}
    assert write_cookie("c", "v", 9, lan) == "c=v; Path=/; HttpOnly; Max-Age=9; SameSite=Lax"
    assert write_cookie("c", "v", 9, tls).endswith("SameSite=Lax; Secure")
    assert write_cookie("c", "v", 9, tls, True).endswith("SameSite=None; Secure; Partitioned")


def test_the_login_page_is_protected_like_the_others(stranger):
    for answer in (stranger.get("/login"), stranger.get("/theme.css"), stranger.get("/")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    policy = stranger.get("/login").headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy and "form-action 'self'" in policy
    foreign = {"origin": "https://evil.example"}
    assert stranger.post("/login", headers=foreign, data={}).status_code == 403
    assert "access-control-allow-origin" not in stranger.get("/login", headers=foreign).headers


def test_accounts_are_read_and_mistakes_never_say_the_password():
    assert read_accounts(["ann:a:b", " bob :x"]) == {"ann": "a:b", "bob": "x"}
    for wrong in (["secret"], ["ann:"], [":secret"], ["ann:secret", "ann:secret"]):
        with pytest.raises(ConfigError) as raised:
            read_accounts(wrong)
        assert "secret" not in str(raised.value)
    accounts = Accounts({"ann": "first"})
    assert accounts.check("ann", "first") and accounts.check(" ann ", "first")
    assert not accounts.check("ann", "First") and not accounts.check("bob", "first")


# What the server is started with ------------------------------------------------------------------


def started(*arguments, **environment):
    process = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"} | environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize(
    "environment", [{}, {"SPACE_ID": "someone/studio"}, {"PE_AUTH": "  \n"}], ids=str
)
def test_nobody_elses_machine_is_let_in_without_a_login(tmp_path, environment):
    port = free_port()
    code, out, err = started(
        "--host", "0.0.0.0", "--port", str(port), PE_HOME=str(tmp_path), **environment
    )
    assert (code, out) == (2, "")
    assert "must ask for a login" in err and len(err.strip().splitlines()) == 1
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example", "127.0.0.2"])
def test_only_this_machines_names_need_no_login(tmp_path, host):
    with pytest.raises(ConfigError, match="PE_AUTH"):
        build_app(tmp_path, host)


def test_an_account_that_cannot_be_read_is_a_sentence(tmp_path):
    code, _, err = started("--auth", "hunter2", PE_HOME=str(tmp_path))
    assert code == 2 and "name:password" in err and "hunter2" not in err


def test_which_login_there_is():
    assert entrance([], {}) is None
    assert entrance([], {"SPACE_ID": "someone/studio"}) is None  # without hf_oauth
    assert isinstance(entrance(["ann:x"], {}), PasswordLogin)
    environment = {"PE_AUTH": "ann:x\nbob:y\n"} | SPACE
    assert isinstance(entrance([], environment), PasswordLogin)
    assert "PE_AUTH" not in environment
    environment = dict(SPACE)
    assert isinstance(entrance([], environment), SpaceLogin)
    assert environment["SYSTEM"] == "spaces"
    for name in OF_A_SPACE:
        assert entrance([], {k: v for k, v in SPACE.items() if k != name}) is None
