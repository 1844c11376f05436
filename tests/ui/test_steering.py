"""Steering runs in a real browser: the queue, pause, finish, going on, and the list of all runs."""

import json
import re
import zipfile

import pytest
from playwright.sync_api import expect
from test_page import open_page, set_budget, start, try_example, wait_for

pytest_plugins = ["browser_fixtures"]


def entry(tab, place):
    return tab.locator(".history-list li").nth(place)


def open_drawer(tab):
    tab.locator("#runs-button").click()
    expect(tab.locator("dialog.history")).to_be_visible()


def test_two_runs_are_steered_from_the_queue_to_the_bin(tab, tmp_path):
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(tab)
    tab.evaluate("fetch('/runs', { method: 'DELETE' })")  # those of other tests
    try_example(tab)
    set_budget(tab, iterations=100, samples=300)
    first = start(tab)
    wait_for(tab, "running")

    # the second one waits, is seen in the drawer, and leaves the queue there
    tab.get_by_role("button", name="Run", exact=True).click()
    wait_for(tab, "queued")
    expect(tab.locator(".line")).to_have_text("Waiting for 1 run before this one")
    tab.keyboard.press("Escape")
    tab.locator("h1").click()
    tab.keyboard.press("r")
    expect(tab.locator("#runs-button span")).to_have_text("2")
    expect(entry(tab, 0).locator(".run-line")).to_have_text("Waiting for 1 run before this one")
    entry(tab, 0).get_by_role("button", name="Leave the queue").click()
    expect(entry(tab, 0).locator(".run-line")).to_contain_text("Paused")
    entry(tab, 0).get_by_role("button", name="Delete").click()
    tab.locator(".history-delete").click()
    expect(tab.locator(".history-list li")).to_have_count(1)
    expect(tab.locator(".live")).to_have_attribute("data-status", "none")

    # the first one is opened, paused by key, and finished where it is
    entry(tab, 0).locator(".open-run").click()
    tab.wait_for_selector(".slide input:enabled")
    tab.keyboard.press("p")
    wait_for(tab, "stopped")
    assert first in tab.url
    tab.get_by_role("button", name="Finish here").click()
    tab.get_by_role("button", name="Finish the run").click()
    wait_for(tab, "done")
    expect(tab.locator(".line")).to_contain_text("of 100 generations")
    for told in (".line", ".spent-text"):
        expect(tab.locator(told)).to_contain_text("ε = 1 counts as planned")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download zip").click()
    download.value.save_as(tmp_path / "synthetic.zip")
    with zipfile.ZipFile(tmp_path / "synthetic.zip") as archive:
        privacy = json.loads(archive.read("manifest.json"))["privacy"]
    assert privacy["epsilon"] == pytest.approx(1, rel=1e-3)
    assert privacy["releases"] < privacy["planned_releases"] == 100

    # going on from an earlier generation says what both cost, before and in the form
    tab.keyboard.press("ArrowLeft")
    tab.get_by_role("button", name="Start again from this generation").click()
    tab.get_by_label("More generations").fill("2")
    said = tab.locator(".go-on-cost")
    expect(said).to_contain_text("With the new votes it will be ε")
    together = re.search(r"will be ε\s=\s([\d.]+) for each image", said.inner_text())[1]
    assert 1 < float(together) < 2
    tab.get_by_role("button", name="Fill in the form").click()
    expect(tab.locator("#problem")).to_contain_text("Drop the same images again")
    expect(tab.get_by_label("Iterations")).to_have_value("2")
    expect(tab.locator("#meaning")).to_contain_text(f"ε = {together}")
    second = start(tab)
    wait_for(tab, "done")
    expect(tab.locator(".line")).to_contain_text("Done: 2 generations")
    expect(tab.locator(".spent-text")).to_contain_text(f"of {together}")

    # the list: a title, the settings again, a command line, and away
    open_drawer(tab)
    entry(tab, 0).get_by_role("button", name="Rename").click()
    tab.get_by_label("Title of the run").first.fill("second try")
    tab.keyboard.press("Enter")
    expect(entry(tab, 0).locator(".open-run")).to_have_text("second try")
    expect(entry(tab, 0).get_by_role("button", name="Rename")).to_be_focused()
    entry(tab, 0).get_by_role("button", name="Delete").click()
    expect(tab.locator("#history-question")).to_have_text("Delete the run “second try”?")
    tab.locator(".history-keep").click()
    expect(tab.locator(".run-title")).to_have_text("second try")
    entry(tab, 1).get_by_role("button", name="Copy command line").click()
    expect(tab.locator(".history-said")).to_contain_text("Copied")
    line = tab.evaluate("navigator.clipboard.readText()")
    assert line.startswith("python -m pe_engine run DATA --output OUT ")
    assert "--iterations=100" in line and "--num-samples=300" in line
    entry(tab, 1).get_by_role("button", name="Use these settings").click()
    expect(tab.get_by_label("Iterations")).to_have_value("100")
    expect(tab.locator("#problem")).to_contain_text("what that run was given")
    expect(tab.locator("dialog.history")).to_be_hidden()
    open_drawer(tab)
    tab.get_by_role("button", name="Delete all").click()
    tab.locator(".history-delete").click()
    expect(tab.locator(".history-empty")).to_be_visible()
    for run in (first, second):
        assert tab.request.get(f"/runs/{run}/gallery/0.json").status == 404


def test_the_drawer_and_the_dialogs_fit_a_phone(tab):
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.emulate_media(reduced_motion="reduce")
    open_page(tab)
    try_example(tab)
    expect(tab.get_by_role("button", name="Remove")).to_be_focused()
    set_budget(tab, iterations=1, samples=30)
    start(tab)
    wait_for(tab, "done")
    top = tab.evaluate("document.querySelector('.live').getBoundingClientRect().top")
    assert 0 <= top < 200  # below the head of the page, on screen
    tab.get_by_role("button", name="Go on…").click()
    expect(tab.locator(".go-on-cost")).to_contain_text("With the new votes")
    assert inside(tab, "dialog.go-on *")
    tab.keyboard.press("Escape")
    open_drawer(tab)
    expect(tab.locator(".history-list li").first).to_be_visible()
    box = tab.locator("dialog.history").bounding_box()
    assert (box["x"], box["width"], box["height"]) == (0, 360, 800)
    assert inside(tab, "dialog.history *")


def inside(tab, selector):
    """Whether nothing there reaches beyond the screen's sides."""
    return tab.evaluate(
        """selector => [...document.querySelectorAll(selector)].every(node => {
          const box = node.getBoundingClientRect();
          return box.left >= 0 && box.right <= innerWidth;
        })""",
        selector,
    )


def test_keys_are_listed_and_do_nothing_while_somebody_types(tab):
    open_page(tab)
    tab.get_by_label("Samples").focus()
    tab.keyboard.press("r")
    expect(tab.locator("dialog.history")).to_be_hidden()
    tab.locator("h1").click()
    tab.keyboard.press("?")
    expect(tab.locator("dialog.keys")).to_contain_text("Pause or resume the run")
    tab.keyboard.press("r")
    expect(tab.locator("dialog.history")).to_be_hidden()
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog.keys")).to_be_hidden()
    tab.keyboard.press("r")
    expect(tab.locator("dialog.history")).to_be_visible()
