"""The page as a program of this desktop: in the browser, or in a window of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from pe_engine.errors import ConfigError
from pe_engine.ui.entrance import is_space

TITLE = "Private Evolution Studio"
SIZE, LEAST_SIZE = (1280, 900), (360, 480)
NOT_INSTALLED = (
    "A window of its own needs pywebview. Install it with: pip install 'pywebview[qt]' on Linux, "
    "pip install pywebview elsewhere. Or leave out --window, and the page opens in the browser."
)
NO_WINDOW = (
    "No window could be opened: {reason}. On Linux, pip install 'pywebview[qt]' brings all that it "
    "needs. Or leave out --window, and the page opens in the browser."
)
RUN_IS_LIVE = (
    "A run is not done. It stops after its batch, and can be resumed when you open the program "
    "again. Close the window?"
)
STAY_HERE = """document.addEventListener("click", (event) =>
  event.target.closest("a[target=_blank]")?.removeAttribute("target"), true); null"""
"""The browser, where such a link would open, has no key of the page."""

OF_A_CONTAINER = (".dockerenv", "run/.containerenv")


def has_screen(
    environment: Mapping[str, str], platform: str = sys.platform, root: Path = Path("/")
) -> bool:
    """Whether somebody sits at this machine: not on a Space, in a container, at the other end of
    SSH, or without a display."""
    if is_space(environment) or environment.get("SSH_CONNECTION"):
        return False
    if environment.get("container") or any((root / name).exists() for name in OF_A_CONTAINER):
        return False
    displays = map(environment.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    return platform in ("win32", "darwin") or any(displays)


def open_browser(address: str) -> threading.Thread:
    """Open ``address`` in the browser, if there is one, without waiting for it."""
    thread = threading.Thread(target=_open, args=(address,), name="browser", daemon=True)
    thread.start()
    return thread


def check_window() -> None:
    """Raises:
    ConfigError: pywebview is not installed.
    """
    if find_spec("webview") is None:
        raise ConfigError(NOT_INSTALLED)


def show_window(address: str, storage: Path, is_live: Callable[[], bool]) -> None:
    """Show ``address`` in a window until it is closed; in the main thread.

    Args:
        storage: folder for the window's cookies and choices.
        is_live: whether a run would be stopped; then the window asks before it closes.

    Raises:
        ConfigError: no window can be opened here.
    """
    import webview

    webview.settings["ALLOW_DOWNLOADS"] = True
    window = webview.create_window(
        TITLE,
        address,
        width=SIZE[0],
        height=SIZE[1],
        min_size=LEAST_SIZE,
        text_select=True,
        localization={"global.quitConfirmation": RUN_IS_LIVE},
    )
    told_to_end = threading.Event()

    def ask_if_live() -> None:
        window.confirm_close = is_live() and not told_to_end.is_set()

    def end(*_: object) -> None:
        told_to_end.set()
        window.destroy()

    window.events.closing += ask_if_live
    window.events.loaded += lambda: window.evaluate_js(STAY_HERE)
    before = signal.signal(signal.SIGTERM, end)
    try:
        webview.start(private_mode=False, storage_path=str(storage))
    except webview.errors.WebViewException as error:
        raise ConfigError(NO_WINDOW.format(reason=error)) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def _open(address: str) -> None:
    with suppress(webbrowser.Error):
        browser = webbrowser.get()
        if not _is_of_a_terminal(browser):
            browser.open(address)


def _is_of_a_terminal(browser: webbrowser.BaseBrowser) -> bool:
    """Whether it would take over the terminal, as lynx and w3m do; one that is named in ``BROWSER``
    is what the person wants."""
    return type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER")
