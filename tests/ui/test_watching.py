"""Watching a run in a real browser: what is being made, votes, families, a comparison."""

import re

from playwright.sync_api import expect
from test_page import (
    loaded,
    open_page,
    set_budget,
    show_generation,
    start,
    try_example,
    wait_for,
)

pytest_plugins = ["browser_fixtures"]
VOTES = re.compile(r"^(-?\d+) noisy votes?( for its parent)?$")


def votes_of(tab, row=0):
    """Noisy votes of the tiles of one class, and whether they are for the parents."""
    tiles = tab.locator(".generation .row").nth(row).locator(".tile").all()
    told = [VOTES.match(tile.get_attribute("title")) for tile in tiles]
    return [int(each[1]) for each in told], {bool(each[2]) for each in told}


def caption(tab):
    return tab.locator(".zoom p").inner_text()


def test_a_run_is_watched_from_its_first_images_to_a_family(tab):
    open_page(tab)
    try_example(tab)
    set_budget(tab, iterations=3, samples=1500)
    start(tab)
    tab.wait_for_selector(".making-strip i")
    expect(tab.locator(".making-strip")).to_have_attribute("aria-label", re.compile("being made"))
    expect(tab.locator(".pace")).to_contain_text("images made")
    wait_for(tab, "done")
    expect(tab.locator(".making")).to_be_hidden()
    expect(tab.locator(".meter .mark")).to_have_count(3)
    expect(tab.locator(".curve svg circle")).to_have_count(3)
    expect(tab.get_by_role("img", name="Effective number of parents")).to_be_visible()

    check_order(tab)
    check_pinned(tab)
    check_family(tab)
    check_compare(tab)
    tab.set_viewport_size({"width": 360, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    left, right = (side.bounding_box() for side in tab.locator(".compare-side").all())
    assert right["y"] >= left["y"] + left["height"]
    tab.locator(".compare-close").click()
    expect(tab.locator(".compare")).to_be_hidden()
    expect(tab.locator(".compare-toggle")).to_be_focused()


def check_order(tab):
    show_generation(tab, 1)
    tab.wait_for_function("!document.querySelector('.tile').title.includes('parent')")
    for row in (0, 9):
        votes, of_parents = votes_of(tab, row)
        assert len(votes) == 7 and votes == sorted(votes, reverse=True) and of_parents == {False}
    expect(tab.locator(".order-note")).to_contain_text("noisy votes for these images")
    most = votes_of(tab)[0]
    tab.get_by_role("button", name="Images 1–7 of 150, class 0: show more").click()
    expect(tab.get_by_role("button", name="Images 8–14 of 150, class 0: show more")).to_be_focused()
    assert max(votes_of(tab)[0]) <= min(most)
    tab.get_by_label("Order").select_option("as made")
    expect(tab.locator(".order-note")).to_contain_text("in which they were made")
    expect(tab.locator(".generation .tile").first).to_have_attribute("data-index", "0")
    tab.get_by_label("Order").select_option("most votes first")


def check_pinned(tab):
    assert tab.url.endswith("generation=1")
    tab.reload()
    tab.wait_for_selector('.rows[data-generation="1"]')
    slider = tab.get_by_label("Generation shown")
    expect(slider).to_have_value("1")
    slider.press("ArrowRight")
    tab.wait_for_selector('.rows[data-generation="2"]')
    assert tab.url.endswith("generation=2")
    tab.get_by_role("button", name="Follow the newest").click()
    tab.wait_for_selector('.rows[data-generation="3"]')
    assert "generation" not in tab.url
    expect(tab.locator(".order-note")).to_contain_text("each image's parent")


def check_family(tab):
    tile = tab.locator(".generation .tile").nth(2)
    tile.focus()
    tab.keyboard.press("Enter")
    line = tab.locator(".descent .relative")
    expect(line).to_have_count(4)
    expect(line.last).to_have_attribute("aria-current", "true")
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".generation .tile img").nth(3)).to_have_attribute("alt", caption(tab))
    expect(line).to_have_count(4)
    line.first.click()
    expect(tab.locator(".zoom p")).to_contain_text("generation 0")
    expect(line).to_have_count(1)
    expect(tab.locator(".children .relative").first).to_be_visible()
    expect(tab.locator(".siblings")).to_be_hidden()
    for generation in (1, 2, 3):  # and back down the tree
        tab.locator(".children .relative").first.click()
        expect(tab.locator(".zoom p")).to_contain_text(f"generation {generation}")
        expect(line).to_have_count(generation + 1)
        if generation < 3 and not tab.locator(".children").is_visible():
            break  # a child that nobody voted for
    loaded(tab, ".descent img")
    assert tab.evaluate("document.querySelector('.zoom').contains(document.activeElement)")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Save the family as a picture").click()
    assert re.fullmatch(r"family-\d+-\d+\.png", download.value.suggested_filename)
    tab.keyboard.press("Escape")
    expect(tab.locator(".zoom")).to_be_hidden()
    expect(tile).to_be_focused()


def check_compare(tab):
    tab.get_by_role("button", name="Compare", exact=True).click()
    left, right = tab.get_by_label("Left generation"), tab.get_by_label("Right generation")
    expect(left).to_be_focused()
    expect(right).to_have_value("3")
    left.select_option("2")
    sides = tab.locator(".compare-side .rows")
    for side, generation in ((sides.nth(0), "2"), (sides.nth(1), "3")):
        expect(side).to_have_attribute("data-generation", generation)
        expect(side.locator("h3")).to_have_text([str(digit) for digit in range(10)])
        expect(side.locator(".tile")).to_have_count(70)
