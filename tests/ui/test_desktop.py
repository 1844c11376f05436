"""``app.py`` on a desktop: it opens the browser by itself, or a window of its own."""

import os
import socket
import subprocess
import sys
import threading
import webbrowser
from types import SimpleNamespace

import pytest
from chromium import ROOT, free_port

import app
from pe_engine.errors import ConfigError
from pe_engine.jobs import JobManager
from pe_engine.ui import desktop, server, serving
from pe_engine.ui.owner_key import OwnerKey

FAKE_WEBVIEW = """
import urllib.request

settings = {}
errors = type("errors", (), {"WebViewException": OSError})


class Events(list):
    __iadd__ = lambda self, handler: self.append(handler) or self


class Window:
    def __init__(self, address, said):
        self.address, self.said, self.confirm_close = address, said, None
        self.events = type("events", (), {"closing": Events(), "loaded": Events()})()


def create_window(title, address, localization, **size):
    global window
    window = Window(address, localization["global.quitConfirmation"])
    return window


def start(private_mode, storage_path):
    page = urllib.request.urlopen(window.address).read()
    for handler in window.events.closing:
        handler()
    print("shown", len(page), "asks", window.confirm_close, private_mode, flush=True)
"""


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"SSH_CONNECTION": "a"}, "darwin", False),
        ({"DISPLAY": ":0", "SPACE_ID": "ann/studio"}, "linux", False),
        ({"DISPLAY": ":0", "container": "podman"}, "linux", False),
    ],
    ids=str,
)
def test_where_somebody_sits_at_the_machine(tmp_path, environment, platform, expected):
    assert desktop.has_screen(environment, platform, tmp_path) is expected
    (tmp_path / ".dockerenv").touch()
    assert not desktop.has_screen(environment, platform, tmp_path)


@pytest.mark.parametrize("kind", ["a window", "a terminal", "chosen", "none"])
def test_the_browser_is_opened_unless_it_takes_the_terminal(monkeypatch, kind):
    opened = []
    of_kind = {"a window": webbrowser.BackgroundBrowser, "chosen": webbrowser.GenericBrowser}
    browser = of_kind.get(kind, webbrowser.GenericBrowser)("x")
    browser.open = opened.append

    def get():
        if kind == "none":
            raise webbrowser.Error
        return browser

    monkeypatch.setenv("BROWSER", "x" * (kind == "chosen"))
    monkeypatch.setattr(webbrowser, "get", get)
    desktop.open_browser("http://127.0.0.1:1/").join()
    assert opened == ["http://127.0.0.1:1/"] * (kind in ("a window", "chosen"))


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Runs ``app.main`` with a server that only says that it answers; what was opened then."""
    key, opened = OwnerKey(tmp_path), []

    def build(home, host, login, **_):
        state = {"key": None if login else key, "address": "/" if login else f"/?key={key.value}"}
        return SimpleNamespace(state=SimpleNamespace(**state))

    monkeypatch.setenv("PE_HOME", str(tmp_path))
    monkeypatch.setattr(server, "build_app", build)
    monkeypatch.setattr(serving, "serve", lambda *_: (_[3](), 0)[1])
    monkeypatch.setattr(desktop, "has_screen", lambda _: True)
    monkeypatch.setattr(desktop, "open_browser", opened.append)

    def start(*arguments):
        opened.clear()
        assert app.main(["--port", "7861", *arguments]) == 0
        return opened[0] if opened else None

    return SimpleNamespace(start=start, key=key)


def test_the_page_is_opened_with_a_key_for_once(started):
    address = started.start()
    place, _, code = address.partition("/?key=")
    assert place == "http://127.0.0.1:7861" and code != started.key.value
    assert started.key._opens(code) and not started.key._opens(code)
    assert not started.key.fits(code)


def test_a_code_for_once_is_of_use_for_a_while(started, monkeypatch):
    monkeypatch.setattr("pe_engine.ui.owner_key.ONCE_SECONDS", 0.0)
    assert not started.key._opens(started.start().partition("=")[2])


def test_when_no_browser_is_opened(started, monkeypatch):
    assert started.start("--auth", "ann:first secret") == "http://127.0.0.1:7861/"
    assert started.start("--no-browser") is None
    assert started.start("--auth", "ann:first secret", "--host", "0.0.0.0") is None
    monkeypatch.setattr(desktop, "has_screen", lambda _: False)
    assert started.start() is None


def test_without_pywebview_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(desktop, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install"):
        desktop.check_window()


def test_the_window_asks_before_it_ends_a_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "webview.py").write_text(FAKE_WEBVIEW)
    monkeypatch.syspath_prepend(tmp_path)
    page = tmp_path / "page"
    page.touch()
    for live in (True, False):
        monkeypatch.delitem(sys.modules, "webview", raising=False)
        desktop.show_window(page.as_uri(), tmp_path / "window", lambda live=live: live)
        assert f"asks {live}" in capsys.readouterr().out
    monkeypatch.delitem(sys.modules, "webview")
    (tmp_path / "webview.py").write_text(
        FAKE_WEBVIEW.replace("page = ", "raise OSError('no Qt') #")
    )
    with pytest.raises(ConfigError, match="no Qt"):
        desktop.show_window(page.as_uri(), tmp_path / "window", bool)


def test_closing_the_window_ends_the_program(tmp_path):
    (tmp_path / "webview.py").write_text(FAKE_WEBVIEW)
    process = subprocess.run(
        [sys.executable, "app.py", "--window", "--port", str(free_port())],
        cwd=ROOT,
        env=os.environ | {"PE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert "shown" in process.stdout and process.stdout.endswith("asks False False\n")


def test_a_port_that_is_taken_is_an_exit_code(capfd):
    async def answers(scope, receive, send):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})

    started = threading.Event()
    with serving.serving(answers, "127.0.0.1", free_port()) as begun:
        assert begun
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serving.serve(answers, "127.0.0.1", port, started.set) == serving.NOT_STARTED
        with serving.serving(answers, "127.0.0.1", port) as begun:
            assert not begun
    said = capfd.readouterr().err
    assert "already in use" in said and "Traceback" not in said
    assert not started.is_set()


def test_a_manager_is_busy_while_a_run_waits(tmp_path):
    manager = JobManager(tmp_path)
    assert not manager.is_busy()
    manager._runs["x"] = SimpleNamespace(snapshot=SimpleNamespace(status=SimpleNamespace(ended=0)))
    assert manager.is_busy()
    manager._runs.clear()
    manager.close()
