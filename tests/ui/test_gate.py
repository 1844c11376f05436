"""Which addresses answer, what a visitor can make the server read, and how much it takes."""

import asyncio
import select
import socket

import pytest
from loops import awaited
from over_http import Visitor, serving
from starlette.testclient import WebSocketDisconnect
from visitors import ACCOUNTS, local_app, local_client, shared_app, shared_client

from pe_engine.ui import bodies, gate
from pe_engine.ui.bodies import TooLarge, read_body
from pe_engine.ui.upload_routes import MAX_AT_ONCE

TOKEN = "0" * 32
FOREIGN = {"origin": "https://evil.example"}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return local_app(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def client(app):
    with local_client(app) as client:
        yield client


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Of the shared server."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def visitor(home):
    """A visitor of a shared server, over real HTTP."""
    with serving(shared_app(home)) as address:
        visitor = Visitor(address, next(iter(ACCOUNTS.items())))
        yield visitor
        visitor.http.close()


def gradios_routes(app):
    """(method, path) of every route that Gradio brings."""
    gradio = next(route.app for route in app.routes if getattr(route, "path", None) == "")
    pending, found = list(gradio.routes), set()
    while pending:
        route = pending.pop()
        inner = getattr(route, "original_router", None)
        pending += inner.routes if inner is not None else []
        found |= {(method, route.path) for method in getattr(route, "methods", None) or ()}
    return found


def test_of_gradios_addresses_only_those_answer_that_the_page_needs(app, client):
    routes = gradios_routes(app)
    assert len(routes) > 60  # it does find them
    passed = set()
    for method, path in routes:
        filled = path.split("{")[0] + ("x" if "{" in path else "")
        answer = client.request(method, filled or "/", json={})
        if answer.text not in ('{"detail":"Not Found"}', "") or answer.is_success:
            passed.add((method, path))
    assert passed <= {
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/theme.css"),
        ("GET", "/favicon.ico"),
        ("GET", "/assets/{path:path}"),
        ("GET", "/static/{path:path}"),
        ("POST", gate.JOIN),
        ("GET", gate.LISTEN),
    }


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "//gradio_api/info",
        "/gradio_api/info/",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/upload",
        "/gradio_api/run/predict",
        "/gradio_api/call/start",
        "/gradio_api/heartbeat/x",
        "/gradio_api/cancel",
        "/gradio_api/queue/status",
        "/gradio_api/component_server",
        "/gradio_api/mcp/sse",
        "/gradio_api/vibe-code",
        "/gradio_api/dev/reload",
        "/gradio_api/token",
        "/gradio_api/queue/join/",
        "/gradio_api/../gradio_api/info",
        "/gradio_api/%69nfo",
        "/monitoring",
        "/login",
        "/logout",
        "/login/huggingface",
        "/config",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_else_is_there(client, path):
    for method in ("GET", "POST", "HEAD"):
        assert client.request(method, path, json={}).status_code == 404


def test_websockets_are_refused(client):
    for path in ("/", "/gradio_api/queue/join", "/gradio_api/stream/x"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pass


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/theme.css"),
        ("GET", "/pictures/evolution.png"),
        ("GET", f"/runs/{TOKEN}/synthetic.zip"),
        ("GET", f"/runs/{TOKEN}/gallery/0.json"),
        ("GET", "/gradio_api/queue/data?session_hash=x"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/uploads"),
        ("POST", f"/uploads/{TOKEN}/files"),
        ("DELETE", f"/uploads/{TOKEN}"),
        ("GET", "/login"),
        ("POST", "/login"),
    ],
)
@pytest.mark.parametrize("kind", ["local", "shared"])
def test_no_other_origin_may_read_or_ask(app, tmp_path_factory, kind, method, path, request):
    visitor = request.getfixturevalue("client" if kind == "local" else "shared")
    answer = visitor.request(method, path, headers=FOREIGN)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert method == "GET" or answer.status_code == 403
    asked = FOREIGN | {"access-control-request-method": method}
    preflight = visitor.options(path, headers=asked)
    assert preflight.is_error
    assert "access-control-allow-origin" not in preflight.headers


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return shared_client(shared_app(tmp_path_factory.mktemp("home")))


def test_a_browser_that_keeps_no_cookie_is_told_so(client):
    from fastapi.testclient import TestClient

    bare = TestClient(client.app, base_url=client.base_url)
    for answer in (bare.post("/uploads"), bare.post(gate.JOIN, json={})):
        assert answer.status_code == 403 and "cookie" in answer.json()["detail"]
    first = bare.get("/")
    assert (
        "HttpOnly" in first.headers["set-cookie"] and "SameSite=Lax" in first.headers["set-cookie"]
    )
    assert first.headers["cache-control"] == "no-store"
    assert len(bare.cookies["pe-browser"]) == 32
    assert "set-cookie" not in bare.get("/").headers


# What is sent to the queue ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"data": [], "fn_index": "0", "session_hash": "x"}',
        b'{"data": {}, "fn_index": 0, "session_hash": "x"}',
        b'{"data": [], "fn_index": 0, "session_hash": 1}',
        b'{"data": [], "fn_index": 0}',
        b'{"data": [' + b"9" * 10_000 + b'], "fn_index": 0, "session_hash": "x"}',
    ],
    ids=range(11),
)
def test_what_is_no_event_is_refused(client, body):
    assert client.post(gate.JOIN, content=body).status_code == 400


def test_an_events_size_is_bounded_also_where_none_is_told(client, monkeypatch):
    monkeypatch.setattr(gate, "MAX_EVENT_BYTES", 1000)
    assert client.post(gate.JOIN, content=b"x" * 1001).status_code == 413
    assert client.post(gate.JOIN, content=iter([b"x"] * 1001)).status_code == 413


def test_a_body_that_pauses_or_breaks_off_is_given_up(monkeypatch):

    async def never():
        await asyncio.Event().wait()

    async def gone():
        return {"type": "http.disconnect"}

    async def endless():
        return {"type": "http.request", "body": b"12345", "more_body": True}

    scope = {"type": "http", "headers": []}
    for receive, problem in ((gone, TimeoutError), (endless, TooLarge)):
        with pytest.raises(problem):
            awaited(read_body(scope, receive, 12))
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        awaited(read_body(scope, never, 12))


def test_fields_that_no_page_sends_reach_no_handler(visitor):
    event = visitor.events()["leave"]
    extra = {"simple_format": True, "batched": True, "event_id": "x" * 32, "oauth_token": "x"}
    answer = visitor.send(event, api_name="start", request={"username": "ann"}, **extra)
    event_id = answer.json()["event_id"]
    assert event_id != "x" * 32
    assert visitor.listen(event_id)[-1]["output"]["data"][0]["status"] == "none"


def test_sessions_are_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr(gate, "MAX_SESSIONS", 3)
    kept = gate.Gate(None, login=False, crowd=None, events=None, api_events=None)
    for name in "abcd":
        kept._remember(name)
    assert list(kept._joined) == ["b", "c", "d"]


def test_one_sender_sends_a_few_batches_at_once(visitor):
    token = visitor.http.post("/uploads").json()["token"]
    address = visitor.http.base_url
    cookie = "; ".join(f"{k}={v}" for k, v in visitor.http.cookies.items())
    head = (
        f"POST /uploads/{token}/files HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        f"Cookie: {cookie}\r\nContent-Length: 100\r\n\r\nx"
    )
    slow = [socket.create_connection((address.host, address.port)) for _ in range(2 * MAX_AT_ONCE)]
    for connection in slow:
        connection.sendall(head.encode())
    refused, _, _ = select.select(slow, [], [], 20)
    assert b" 429 " in refused[0].recv(100)
    assert visitor.http.post(f"/uploads/{token}/files", content=b"").status_code == 429
    for connection in slow:
        connection.close()
