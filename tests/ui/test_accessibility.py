"""axe-core finds nothing to complain of in any state of the page, wide or narrow, light or dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytest_plugins = ["browser_fixtures"]
LOOKS = {
    "desktop-light": ({"width": 1280, "height": 900}, "light"),
    "desktop-dark": ({"width": 1280, "height": 900}, "dark"),
    "phone-light": ({"width": 360, "height": 800}, "light"),
    "phone-dark": ({"width": 360, "height": 800}, "dark"),
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(params=LOOKS.values(), ids=LOOKS)
def page(request, browser, address):
    viewport, scheme = request.param
    context = browser.new_context(
        base_url=address, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def check(page, state):
    """No rule is broken, and nothing is wider than the window."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}}).response
    broken = [
        f"{rule['id']} ({rule['impact']}): {node['html'][:120]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
    assert broken == [], state
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{state}: {wide} pixels too wide"


def test_every_state_is_accessible(page):
    page.goto("/")
    expect(page.locator("#meaning")).to_contain_text("σ")
    check(page, "empty")
    page.get_by_text("Advanced").first.click()
    check(page, "advanced")
    page.get_by_text("Advanced").first.click()
    page.click(".try-example")
    page.wait_for_selector("#summary .found")
    check(page, "data in")
    page.get_by_label("Iterations").fill("0")
    page.click("#run-button")
    page.wait_for_selector("#problem p")
    check(page, "error")


def test_every_state_of_a_run_is_accessible(page):
    page.goto("/")
    expect(page.locator("#meaning")).to_contain_text("σ")
    page.click(".try-example")
    page.wait_for_selector("#summary .found")
    page.get_by_label("Iterations").fill("3")
    page.get_by_label("Samples").fill("40")
    page.click("#run-button")
    page.wait_for_selector(".tile img")
    check(page, "running")
    page.wait_for_selector('.live[data-status="done"]', timeout=120_000)
    check(page, "finished")
    page.get_by_role("button", name="More formats").click()
    page.get_by_text("Send to the Hugging Face Hub").click()
    check(page, "taking out")
    page.keyboard.press("Escape")
    page.locator(".tile").first.click()
    check(page, "one image")


def test_an_address_without_a_run_is_accessible(page):
    page.goto(f"/?run={'0' * 32}")
    page.wait_for_selector('.live[data-status="missing"]')
    check(page, "missing")
