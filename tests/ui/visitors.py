"""Applications and their visitors, for tests over HTTP."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient
from loops import in_event_loop

from pe_engine.ui import house
from pe_engine.ui.login import PasswordLogin
from pe_engine.ui.server import build_app

ACCOUNTS = {"ann": "first secret", "bob": "other secret"}
LOCAL = "http://127.0.0.1:7860"
SHARED = "http://studio.example"


def local_app(home: Path) -> FastAPI:
    """A server for whoever sits at this machine."""
    return in_event_loop(lambda: build_app(home, "127.0.0.1"))


def shared_app(home: Path) -> FastAPI:
    """A server that others can reach, with the accounts above."""
    return in_event_loop(lambda: build_app(home, "0.0.0.0", PasswordLogin(ACCOUNTS)))


def local_client(app: FastAPI) -> TestClient:
    """A browser of the machine's owner, who has opened the page."""
    client = TestClient(app, base_url=LOCAL)
    assert client.get(app.state.address).is_success
    return client


def shared_client(app: FastAPI, name: str = "ann") -> TestClient:
    """A browser that is logged in."""
    client = TestClient(app, base_url=SHARED)
    answer = client.post("/login", data={"name": name, "password": ACCOUNTS[name]})
    assert answer.is_success and "Private Evolution Studio" in answer.text
    return client


def demo_app(home: Path) -> FastAPI:
    """A server that anybody may use."""
    return in_event_loop(lambda: build_app(home, "0.0.0.0", house=house.demo()))
