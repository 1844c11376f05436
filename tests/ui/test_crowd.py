"""One account of a shared server does not take all places: of events, and of connections."""

import socket
import time
from contextlib import ExitStack

import httpx
import pytest
from over_http import Visitor, serving
from visitors import ACCOUNTS, shared_app

from pe_engine.config import RunConfig
from pe_engine.jobs import JobManager
from pe_engine.ui import connections, crowd, viewers
from pe_engine.ui.identity import identity


@pytest.fixture
def stopped(tmp_path, digits):
    """A run of ann's that waits to be resumed, so that those who watch it are not done."""
    manager = JobManager(tmp_path, apart=True)
    config = RunConfig(dataset_name="digits", iterations=50, num_samples=(300,))
    run = manager.submit(config, digits, owner=identity("account", "ann").owner)
    manager.close()
    assert run.snapshot.status.value == "stopped"
    return run.run_id


def ask(visitor, name, tab, **given):
    visitor.session = tab
    return visitor.send(visitor.events()[name], **given)


def test_an_accounts_events_are_bounded_and_others_come_through(tmp_path, stopped, monkeypatch):
    monkeypatch.setattr(crowd, "MAX_EVENTS_OF_ONE", 3)
    watched = {"event_data": {"run_id": stopped}}
    with serving(shared_app(tmp_path)) as address:
        ann, bob = (Visitor(address, account) for account in ACCOUNTS.items())
        tabs = [ask(ann, "attach", f"tab {i}", **watched) for i in range(4)]
        assert [answer.status_code for answer in tabs] == [200, 200, 200, 429]
        assert "Close other tabs" in tabs[3].json()["detail"]
        assert ask(ann, "budget", "another tab").status_code == 429
        assert bob.call(bob.events()["budget"])[-1][0] is True
        ann.session = "tab 0"
        assert "stopped" in str(ann.listen(most=3))  # and goes, by which a place is free again
        deadline = time.monotonic() + 60
        while ask(ann, "budget", "another tab").status_code == 429:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        for visitor in (ann, bob):
            visitor.http.close()


def test_an_accounts_requests_are_bounded_streams_included(tmp_path, stopped, monkeypatch):
    monkeypatch.setattr(crowd, "MAX_REQUESTS_OF_ONE", 2)
    with serving(shared_app(tmp_path)) as address:
        ann, bob = (Visitor(address, account) for account in ACCOUNTS.items())
        ask(ann, "attach", "tab", event_data={"run_id": stopped})
        listen = {"url": "/gradio_api/queue/data", "params": {"session_hash": "tab"}}
        with ann.http.stream("GET", **listen), ann.http.stream("GET", **listen):
            assert ann.http.get("/theme.css").status_code == 429
            assert bob.http.get("/theme.css").is_success
        deadline = time.monotonic() + 60
        while ann.http.get("/theme.css").status_code == 429:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        for visitor in (ann, bob):
            visitor.http.close()


def test_all_tabs_that_may_watch_leave_room_for_other_events():
    assert viewers.MAX_TABS + 12 <= crowd.MAX_EVENTS_OF_ONE


def test_watching_tabs_do_not_keep_gradio_from_answering(tmp_path, stopped, monkeypatch):
    monkeypatch.setattr(crowd, "MAX_EVENTS_OF_ONE", 100)
    monkeypatch.setattr(viewers, "MAX_TABS", 100)
    with serving(shared_app(tmp_path)) as address:
        ann, bob = (Visitor(address, account) for account in ACCOUNTS.items())
        for i in range(50):
            assert ask(ann, "attach", f"tab {i}", event_data={"run_id": stopped}).is_success
        assert bob.call(bob.events()["budget"])[-1][0] is True
        for visitor in (ann, bob):
            visitor.http.close()


HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"
BODILESS = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", HALF, BODILESS], ids=["nothing", "half", "no body"])
def test_a_request_that_never_comes_is_not_waited_for(sent, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)

    async def hello(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    patient = {"timeout_keep_alive": 1000, "lifespan": "off"}
    with serving(hello, http=connections.PunctualProtocol, **patient) as address:
        port = int(address.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
            slow.sendall(sent)
            heard = b"".join(iter(lambda: slow.recv(1000), b""))  # until the server hangs up
        assert (b"hello" in heard) == (sent is BODILESS)


@pytest.mark.parametrize("protocol", [connections.PunctualProtocol, connections.BehindProxy])
def test_one_peer_has_some_of_all_connections_unless_it_is_a_proxy(protocol, monkeypatch):
    async def hello(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    with serving(hello, http=protocol, lifespan="off", limit_concurrency=512) as address:
        port = int(address.rsplit(":", 1)[1])
        most = connections.MAX_OF_ONE_PEER
        with ExitStack() as held:
            for _ in range(most):
                held.enter_context(socket.create_connection(("127.0.0.1", port)))
            try:
                assert httpx.get(address).text == "hello"
                refused = False
            except httpx.TransportError:
                refused = True
            assert refused == (protocol is connections.PunctualProtocol)
            with other_peer(port) as other:
                other.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
                assert other.recv(1000).startswith(b"HTTP/1.1 200")
        assert retried(address) == "hello"  # once those of the first have gone


def other_peer(port):
    """A connection from another address of this machine."""
    return socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))


def retried(address):
    while True:
        try:
            return httpx.get(address).text
        except httpx.TransportError:
            time.sleep(0.05)
