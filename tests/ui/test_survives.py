"""What a run and its page outlive: a reload, a second tab, a sleeping laptop, a restart of the
server; and a link by which another browser watches."""

import re
import zipfile
from contextlib import contextmanager

from chromium import free_port, serve
from playwright.sync_api import expect
from test_page import RUN_ID, open_page, set_budget, show_generation, start, try_example, wait_for

pytest_plugins = ["browser_fixtures"]
LOST = "The server does not answer"
STEERING = ("Pause", "Resume", "Finish here", "More formats", "Go on…", "Copy link", "Delete")


def newest(page):
    return int(page.get_by_label("Generation shown").get_attribute("max"))


def goes_on(page):
    """Wait until the page has been told of one more generation."""
    page.wait_for_function(
        "made => Number(document.querySelector('.slide input').max) > made", arg=newest(page)
    )


@contextmanager
def asleep(page):
    """The page's browser reaches nothing, and the page soon notices."""
    live = page.locator(".live")
    patience = live.get_attribute("data-silence")
    page.context.set_offline(True)
    live.evaluate("live => { live.dataset.silence = 100; }")
    # a browser lets the stream that it has go on
    page.evaluate("import('/parts/stream.js').then((stream) => stream.renew())")
    yield
    live.evaluate("(live, patience) => { live.dataset.silence = patience; }", patience)
    page.context.set_offline(False)


def test_a_page_outlives_a_reload_and_sleep_without_losing_what_was_typed(visit):
    page = visit()
    open_page(page)
    try_example(page)
    set_budget(page, iterations=40, samples=3000)
    run_id = start(page)
    page.wait_for_selector(".slide input:enabled")
    other = page.context.new_page()
    other.goto(f"/?run={run_id}")
    page.reload()
    for tab in (page, other):
        wait_for(tab, "running")
        tab.wait_for_selector(".tile img")

    page.get_by_label("Samples").fill("777")
    show_generation(page, 1)
    page.evaluate("window.same = true")
    with asleep(page):
        expect(page.locator(".line")).to_contain_text(LOST)
    expect(page.locator(".line")).not_to_contain_text(LOST)
    goes_on(page)
    goes_on(other)
    assert page.evaluate("window.same") and page.url.endswith(f"?run={run_id}&generation=1")
    expect(page.locator(".generation .rows")).to_have_attribute("data-generation", "1")
    expect(page.get_by_label("Samples")).to_have_value("777")
    expect(page.get_by_text("Connection Lost")).to_have_count(0)

    page.get_by_label("ε (epsilon)").fill("2")
    expect(page.locator("#meaning")).to_contain_text("ε = 2")
    page.get_by_role("button", name="Pause").click()
    for tab in (page, other):
        wait_for(tab, "stopped")
    with asleep(page):
        expect(page.locator(".line")).to_contain_text(LOST)
        page.get_by_label("ε (epsilon)").fill("3")
        expect(page.get_by_text("Try again in a moment").first).to_be_visible()
    expect(page.locator(".line")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()
    for tab in (page, other):
        wait_for(tab, "running")
    page.get_by_role("button", name="Pause").click()
    wait_for(page, "stopped")
    assert page.evaluate("window.same")


def test_runs_outlive_a_restart_of_the_server(browser, folder, tmp_path):
    port = free_port()
    with serve(tmp_path, port) as address:
        page = browser.new_context(base_url=address).new_page()
        open_page(page)
        try_example(page)
        set_budget(page, iterations=12, samples=300)
        example = start(page)
        page.get_by_role("button", name="Pause").click()
        wait_for(page, "stopped")
        page.locator(".folder-input").set_input_files(folder)
        expect(page.locator("#summary")).to_contain_text("2 classes")
        set_budget(page, iterations=40, samples=300, epsilon=5)
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_function("id => !location.search.includes(id)", arg=example)
        page.wait_for_selector(".slide input:enabled")
        dropped = RUN_ID.search(page.url)[1]
        page.evaluate("document.querySelector('.live').dataset.silence = 100")
    expect(page.locator(".line")).to_contain_text(LOST)
    with serve(tmp_path, port):
        wait_for(page, "stopped")
        expect(page.locator(".images-note")).to_contain_text("Drop the same images again")
        assert RUN_ID.search(page.url)[1] == dropped
        expect(page.get_by_label("Samples")).to_have_value("300")
        expect(page.locator(".drop-idle")).to_be_visible()
        page.locator(".folder-input").set_input_files(folder)
        expect(page.locator("#summary")).to_contain_text("2 classes")
        page.get_by_role("button", name="Resume").click()
        wait_for(page, "done")
        expect(page.locator(".line")).to_contain_text("Done: 40 generations")

        page.locator("#runs-button").click()
        expect(page.locator(".history-list li")).to_have_count(2)
        page.locator(".history-list .open-run").nth(1).click()
        wait_for(page, "stopped")
        assert RUN_ID.search(page.url)[1] == example
        page.get_by_role("button", name="Resume").click()  # the example needs no images again
        wait_for(page, "done")
        expect(page.locator(".spent-text")).to_contain_text("ε spent 1.00 of 1")
    page.context.close()


def test_a_link_lets_another_browser_watch_until_it_is_ended(visit, tmp_path):
    page, other = visit(), visit(owner=False)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page)
    try_example(page)
    page.get_by_label("Data set name").fill("ward seven")
    set_budget(page, iterations=150, samples=300)
    run_id = start(page)
    page.wait_for_selector(".slide input:enabled")
    watch(other, copied_link(page))
    assert not [name for name in STEERING if shown(other, name)]
    assert "ward seven" not in other.content()
    goes_on(other)
    show_generation(other, 0)
    page.get_by_role("button", name="Stop sharing").click()
    wait_for(other, "missing")
    assert other.request.get(f"/runs/{run_id}/gallery/0.json").status == 404

    watch(other, copied_link(page))
    page.get_by_role("button", name="Finish here").click()
    page.get_by_role("button", name="Finish the run").click()
    wait_for(other, "done")
    with other.expect_download() as download:
        other.get_by_role("link", name="Download zip").click()
    download.value.save_as(tmp_path / "synthetic.zip")
    with zipfile.ZipFile(tmp_path / "synthetic.zip") as archive:
        assert "manifest.json" in archive.namelist()
    show_generation(other, 0)
    names = (*STEERING, "Stop sharing", "Start again from this generation")
    assert not [name for name in names if shown(other, name)]
    other.locator("#runs-button").click()
    expect(other.locator(".history-empty")).to_be_visible()
    assert "ward seven" not in other.content()


def copied_link(page):
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".shared-note")).to_contain_text("The link is copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"[?&]watch=[0-9a-f]{32}", link)
    return link


def watch(page, link):
    page.goto(link)
    page.wait_for_selector(".tile img")
    wait_for(page, "running")
    assert "watch=" not in page.url
    expect(page.locator(".shared-note")).to_contain_text("You watch a run")


def shown(page, name):
    button = page.locator(".live").get_by_role("button", name=name, exact=True)
    return button.count() > 0 and button.first.is_visible()
