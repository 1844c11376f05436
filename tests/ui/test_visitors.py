"""Two browsers at one server: the other one's run is not there; and the login page they see."""

import re

import pytest
from chromium import serve
from playwright.sync_api import expect
from test_page import loaded, open_page, set_budget, start, try_example, wait_for

pytest_plugins = ["browser_fixtures"]
SECRET = "correct horse"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The address of a server with two accounts."""
    home = tmp_path_factory.mktemp("guarded")
    with serve(home, auth=f"ann:{SECRET}\nbob:{SECRET}2") as address:
        yield address


@pytest.fixture
def context_of(browser):
    contexts = []

    def make(address, **settings):
        contexts.append(browser.new_context(base_url=address, **settings))
        contexts[-1].set_default_timeout(60_000)
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


def log_in(page, name, password):
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def is_missing(page, run_id):
    page.goto(f"/?run={run_id}")
    wait_for(page, "missing")
    expect(page.locator(".missing")).to_contain_text("no such run")
    for tail in ("gallery/0.json", "images/0/0.png", "synthetic.zip", "report.html"):
        assert page.request.get(f"/runs/{run_id}/{tail}").status == 404


def is_there(page):
    wait_for(page, "done")
    loaded(page, ".tile img")


def run_something(page):
    open_page(page)
    try_example(page)
    set_budget(page, iterations=1, samples=40)
    run_id = start(page)
    is_there(page)
    return run_id


def test_another_browser_finds_no_run_at_my_address(context_of, address):
    mine = context_of(address)
    page = mine.new_page()
    run_id = run_something(page)
    is_missing(context_of(address).new_page(), run_id)
    page.reload()
    is_there(page)
    second = mine.new_page()
    second.goto(f"/?run={run_id}")
    is_there(second)


def test_another_account_finds_no_run_at_my_address(context_of, guarded):
    page = context_of(guarded).new_page()
    page.goto("/")
    log_in(page, "ann", SECRET)
    run_id = run_something(page)

    other = context_of(guarded).new_page()
    other.goto(f"/?run={run_id}")
    expect(other).to_have_url(re.compile(f"/login\\?run={run_id}$"))
    log_in(other, "bob", SECRET)
    expect(other.get_by_role("alert")).to_contain_text("name or the password is wrong")
    log_in(other, "bob", f"{SECRET}2")
    is_missing(other, run_id)

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(f"/?run={run_id}")  # at another computer, perhaps
    log_in(page, "ann", SECRET)
    is_there(page)


def test_the_login_page_fits_a_phone_and_needs_no_script(context_of, guarded):
    page = context_of(
        guarded, viewport={"width": 320, "height": 600}, java_script_enabled=False
    ).new_page()
    page.goto("/")
    log_in(page, "ann", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    box = page.get_by_role("button", name="Log in").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 320
