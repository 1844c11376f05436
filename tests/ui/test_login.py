"""Logging in: who is asked to, what answers before, wrong passwords, accounts of Hugging Face."""

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from chromium import free_port
from fastapi.testclient import TestClient
from loops import awaited
from over_http import serving
from visitors import ACCOUNTS, SHARED, shared_app, shared_client

from pe_engine.errors import ConfigError
from pe_engine.ui import login
from pe_engine.ui.accounts import (
    ATTEMPTS_AT_ONCE,
    MAX_SESSIONS_OF_ONE,
    MIN_PASSWORD,
    SESSION_SECONDS,
    Accounts,
    Attempts,
    Sessions,
    network,
    read_accounts,
)
from pe_engine.ui.entrance import OF_A_SPACE, entrance
from pe_engine.ui.identity import write_cookie
from pe_engine.ui.login import PasswordLogin
from pe_engine.ui.server import build_app
from pe_engine.ui.serving import server_settings
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


def test_the_name_is_kept_after_a_wrong_password(stranger):
    answer = stranger.post("/login", data={"name": 'ann"><b>', "password": "wr0ng"})
    assert 'value="ann&quot;&gt;&lt;b&gt;"' in answer.text
    assert "wr0ng" not in answer.text


def test_a_wrong_password_and_an_unknown_name_are_one_sentence(stranger, caplog, capfd):
    answers = [
        stranger.post("/login", data={"name": name, "password": password})
        for name, password in [("ann", "wr0ng"), ("bob", "wr0ng"), ("eve", ""), ("ann", "")]
    ]
    same = {(a.status_code, re.sub('value="(ann|bob|eve)"', "", a.text)) for a in answers}
    assert len(same) == 1 and answers[0].status_code == 401
    assert login.WRONG in answers[0].text
    assert "set-cookie" not in answers[0].headers
    told = caplog.text + "".join(capfd.readouterr())
    assert "wr0ng" not in told and ACCOUNTS["ann"] not in told


def test_a_right_password_passes_after_any_number_of_failures(app, monkeypatch):
    """Of one sender, of many, and of one who says that he is many."""
    monkeypatch.setattr(login, "DELAY_SECONDS", 0.01)
    with serving(app, **server_settings({}) | {"timeout_keep_alive": 60}) as address:
        for number in range(150):
            headers = {"x-forwarded-for": f"10.0.{number}.1"}
            fields = {"name": "ann", "password": "x"}
            assert httpx.post(f"{address}/login", data=fields, headers=headers).status_code == 401
        fields["password"] = ACCOUNTS["ann"]
        assert httpx.post(f"{address}/login", data=fields).status_code == 303
    kept = next(m.kwargs["login"] for m in app.user_middleware if m.cls is login.LoginFirst)
    assert {place for _, place in kept._attempts._failed} <= {"127.0.0.1", "testclient"}


def test_a_proxy_is_believed_only_where_it_is_named(app):
    assert not server_settings({})["proxy_headers"]
    assert server_settings({})["http"].most_of_one
    named = server_settings({"FORWARDED_ALLOW_IPS": "127.0.0.1"})
    assert named["proxy_headers"] and named["http"].most_of_one is None


def test_failures_take_longer_up_to_a_bound_and_are_forgotten_after_a_minute():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    assert [attempts.failed("192.0.2.1") for _ in range(7)] == [1, 2, 3, 4, 5, 5, 5]
    assert attempts.failed("192.0.2.2") == 1
    assert attempts.failed("2001:db8:0:1::1") == 1 and attempts.failed("2001:db8:0:1:ffff::") == 2
    assert attempts.failed("2001:db8:0:2::1") == 1
    now[0] = 61
    assert attempts.failed("192.0.2.1") == 1
    assert network("testclient") == "testclient"


def test_one_network_asks_a_few_times_at_once_and_another_does_not_wait():
    async def ask():
        attempts, inside, leave = Attempts(), [], asyncio.Event()

        async def one(address):
            async with attempts.place(address):
                inside.append(address)
                await leave.wait()

        tasks = [asyncio.create_task(one("a")) for _ in range(ATTEMPTS_AT_ONCE + 5)]
        tasks.append(asyncio.create_task(one("b")))
        for _ in range(5):
            await asyncio.sleep(0)
        assert inside == ["a"] * ATTEMPTS_AT_ONCE + ["b"]
        leave.set()
        await asyncio.gather(*tasks)
        assert inside.count("a") == len(tasks) - 1
        assert not attempts._places and not attempts._asking

    awaited(ask())


def test_a_session_ends_by_itself_and_by_logging_out(app):
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    token = sessions.begin("ann")
    assert sessions.name(token) == "ann" and sessions.name("x") is sessions.name("") is None
    now[0] = SESSION_SECONDS
    assert sessions.name(token) is None

    client = shared_client(app)
    kept = client.cookies["pe-login-80"]
    answer = client.post("/logout")
    assert answer.url.path == "/login" and "pe-login-80" not in client.cookies
    again = TestClient(app, base_url=SHARED, cookies={"pe-login-80": kept}, follow_redirects=False)
    assert again.get("/").status_code == 303


def test_an_account_has_some_sessions_and_ends_nobody_elses():
    sessions = Sessions()
    ann, *bobs = (sessions.begin(name) for name in ["ann", *["bob"] * (MAX_SESSIONS_OF_ONE + 2)])
    assert [sessions.name(token) for token in bobs[:3]] == [None, None, "bob"]
    assert sessions.name(ann) == "ann" and sessions.name(bobs[-1]) == "bob"


def test_two_servers_of_one_host_log_nobody_out_of_the_other(tmp_path):
    given = {"name": "ann", "password": ACCOUNTS["ann"]}
    first, second = (shared_app(tmp_path / name) for name in ("one", "two"))
    with serving(first) as one, serving(second) as other, httpx.Client() as browser:
        for address in (one, other):
            browser.post(f"{address}/login", data=given)
        browser.post(f"{other}/logout")
        assert browser.get(f"{one}/theme.css").is_success
        assert browser.get(f"{other}/theme.css").status_code == 401


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
    colon, other = "a:b long enough", "x" * MIN_PASSWORD
    assert read_accounts([f"ann:{colon}", f" bob :{other}"]) == {"ann": colon, "bob": other}
    twice = ["ann:secret and long"] * 2
    for wrong in (["secret"], ["ann:"], [":secret"], twice, ["ann:secret"], ["ann:1234_secret"]):
        with pytest.raises(ConfigError) as raised:
            read_accounts(wrong)
        assert "secret" not in str(raised.value)
    accounts = Accounts({"ann": "first"})
    assert accounts.check("ann", "first") and accounts.check(" ann ", "first")
    assert not accounts.check("ann", "First") and not accounts.check("bob", "first")


# What the server is started with ------------------------------------------------------------------


def started(*arguments, **environment):
    process = subprocess.run(
        [sys.executable, "app.py", "--no-browser", *arguments],
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
    assert isinstance(entrance(["ann:first secret"], {}), PasswordLogin)
    environment = {"PE_AUTH": "ann:first secret\nbob:other secret\n"} | SPACE
    assert isinstance(entrance([], environment), PasswordLogin)
    assert "PE_AUTH" not in environment
    environment = dict(SPACE)
    assert isinstance(entrance([], environment), SpaceLogin)
    assert environment["SYSTEM"] == "spaces"
    for name in OF_A_SPACE:
        assert entrance([], {k: v for k, v in SPACE.items() if k != name}) is None


def test_a_program_that_has_gone_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(login, "DELAY_SECONDS", 3600)
    wrong = httpx.BasicAuth("ann", "no such secret")._auth_header.encode()
    scope = {"type": "http", "headers": [(b"authorization", wrong)], "client": ("1.2.3.4", 5)}

    async def gone():
        return {"type": "http.disconnect"}

    asked = PasswordLogin(ACCOUNTS).identify_basic(scope, gone)
    assert awaited(asyncio.wait_for(asked, 60)).owner == ""


def test_a_proxys_own_password_does_not_keep_anybody_from_the_login_page(stranger, monkeypatch):
    monkeypatch.setattr(PasswordLogin, "identify_basic", None)
    header = {"Authorization": httpx.BasicAuth("ann", "of the proxy")._auth_header}
    assert stranger.get("/login", headers=header).is_success
    assert stranger.get("/", headers=header).headers["location"] == "/login"
