"""Fixtures: one running application and one browser for all tests of the page."""

import os
import zipfile
from urllib.parse import urlsplit

import pytest
from chromium import CHROMIUM_ARGUMENTS, ROOT, find_chromium, serve
from playwright.sync_api import expect, sync_playwright

from pe_engine.ui.owner_key import COOKIE, FILE

NO_BROWSER = (
    "No Chromium on this machine. Install one (Debian: apt-get install chromium) or set "
    "PE_CHROMIUM to its path."
)

EXAMPLE = ROOT / "assets" / "examples" / "handwriting.zip"

# What Gradio itself says when a tab is reloaded while it listens to a run.
STREAM_CUT = ("AbortError", "errored out")


expect.set_options(timeout=30_000)  # milliseconds: a busy machine is no failure


@pytest.fixture(scope="session")
def browser():
    path = find_chromium()
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(NO_BROWSER)
    if path is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app_home(tmp_path_factory):
    """The PE_HOME of the running application."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def address(app_home):
    """Where the running application answers."""
    with serve(app_home) as address:
        yield address


@pytest.fixture
def tab(browser, app_home, address):
    """A page of the machine's owner, nothing open; fails the test on a console error or a request
    to elsewhere."""
    context = browser.new_context(base_url=address)
    context.add_cookies([owners_cookie(app_home, address)])
    context.set_default_timeout(60_000)
    page = context.new_page()
    complaints = watch(page, address)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def visit(browser, app_home, address):
    """Opens browsers: of the machine's owner, or of somebody who has only what they are sent."""
    contexts = []

    def visit(owner=True):
        contexts.append(context := browser.new_context(base_url=address))
        context.set_default_timeout(60_000)
        if owner:
            context.add_cookies([owners_cookie(app_home, address)])
        return context.new_page()

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def folder(tmp_path):
    """A folder of two classes in sub-folders, one of them nested, with a file that is no image."""
    root = tmp_path / "ward"
    with zipfile.ZipFile(EXAMPLE) as example:
        for digit, place in (("3", "3"), ("7", "7/left")):
            (root / place).mkdir(parents=True)
            names = [n for n in example.namelist() if n.startswith(f"{digit}_")][:30]
            for name in names:
                (root / place / name).write_bytes(example.read(name))
    (root / "3" / "secret-note.png").write_text("not a picture")
    return root


def owners_cookie(home, address):
    """What a browser keeps that has opened the page with the key."""
    name = COOKIE.format(port=urlsplit(address).port)
    return {"name": name, "value": (home / FILE).read_text(), "url": address}


def watch(page, address):
    """A list that fills with what went wrong behind the page."""
    complaints = []

    def console(message):
        if message.type == "error" and not any(text in message.text for text in STREAM_CUT):
            complaints.append(f"console: {message.text!r}")

    def request(request):
        if not request.url.startswith((address, "data:", "blob:")):
            complaints.append(f"request to {request.url}")

    page.on("console", console)
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("request", request)
    return complaints
