"""Logging in with an account of Hugging Face, as Gradio itself mocks it."""

import warnings

import pytest
from fastapi.testclient import TestClient
from loops import in_event_loop

from pe_engine.errors import ConfigError
from pe_engine.ownership import read_owner
from pe_engine.ui.identity import STRANGER, identity
from pe_engine.ui.server import build_app
from pe_engine.ui.space import SpaceLogin

RUN = "a" * 32


@pytest.fixture
def mocked_space(tmp_path, monkeypatch):
    """A Space's server with Gradio's made-up routes in place of Hugging Face."""
    from gradio import oauth, utils

    user = {"type": "user", "fullname": "Ann", "name": "ann", "avatarUrl": ""}
    monkeypatch.setattr(oauth, "OAUTH_CLIENT_SECRET", "a secret")
    monkeypatch.setattr(utils, "get_space", lambda: "someone/studio")
    monkeypatch.setattr(oauth, "get_space", lambda: None)
    monkeypatch.setattr(oauth, "get_token", lambda: "token")
    monkeypatch.setattr(oauth, "whoami", lambda: user)

    def make(allowed=frozenset()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it is made up
            app = in_event_loop(
                lambda: build_app(tmp_path, "0.0.0.0", SpaceLogin(allowed), framed=True)
            )
        return TestClient(app, base_url="https://someone-studio.hf.space")

    return make


def test_an_account_of_hugging_face_comes_in_and_goes_out(mocked_space, tmp_path):
    client = mocked_space()
    assert client.get("/theme.css").status_code == 401
    page = client.get("/")
    assert page.url.path == "/login" and "/login/huggingface" in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'self' https://huggingface.co" in policy
    inside = client.get(f"/login/huggingface?run={RUN}")
    assert inside.url.path == "/" and inside.url.query == f"run={RUN}".encode()
    token = client.post("/uploads").json()["token"]
    stored = read_owner(tmp_path / "uploads" / token)
    assert stored == identity("huggingface", "1" * 23).owner
    assert client.get("/logout").status_code == 404
    assert client.post("/uploads").is_success
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert client.post("/logout", headers=foreign).status_code == 403
    assert client.post("/uploads").is_success
    assert client.post("/logout").url.path == "/login"
    assert client.post("/uploads").status_code == 401


def test_only_those_who_are_named_come_in(mocked_space):
    refused = mocked_space(frozenset({"bob"}))
    assert refused.get("/login/huggingface").url.path == "/login"
    assert refused.post("/uploads").status_code == 401
    allowed = mocked_space(frozenset({"Ann", "bob"}))
    allowed.get("/login/huggingface")
    assert allowed.post("/uploads").is_success


def test_a_made_up_session_lets_nobody_in():
    space = SpaceLogin()
    user = {"preferred_username": "ann", "sub": "7"}
    known = {"oauth_info": {"userinfo": user, "expires_at": 2**40}}
    assert space.identify({"session": known}).owner == identity("huggingface", "7").owner
    for session in (
        {},
        {"oauth_info": None},
        {"oauth_info": {"userinfo": user}},
        {"oauth_info": {"userinfo": user, "expires_at": 1}},
        {"oauth_info": {"userinfo": {}, "expires_at": 2**40}},
        {"oauth_info": {"userinfo": user | {"sub": ""}, "expires_at": 2**40}},
    ):
        assert space.identify({"session": session}) == STRANGER
    assert space.identify({}) == STRANGER


def test_no_made_up_login_outside_a_space(tmp_path):
    with pytest.raises(ConfigError, match="no Space"):
        in_event_loop(lambda: build_app(tmp_path, "0.0.0.0", SpaceLogin()))
