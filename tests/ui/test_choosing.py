"""Choosing in a real browser: by keyboard, beside the card, on the scale, for each class."""

import json

from playwright.sync_api import expect
from test_page import choose, open_page, start, try_example, wait_for

pytest_plugins = ["browser_fixtures"]


def test_choosing_from_the_cards_to_the_run(tab, app_home):
    open_page(tab, "text")
    said = tab.locator(".preset-said")

    # A generator by the keyboard; what it cannot do without stands beside its card
    tab.locator('[name="generator"][value="text_render"]').focus()
    tab.keyboard.press("ArrowDown")
    expect(tab.locator('[name="generator"][value="avatar"]')).to_be_checked()
    expect(said).to_contain_text("Changed from Text")
    tab.get_by_text("More generators").click()
    tab.locator('[name="generator"][value="image_pool"]').check()
    expect(tab.get_by_role("textbox", name="Public images")).to_be_visible()
    expect(tab.locator('.choice:has([value="openai_images"]) .state')).to_have_text(
        "needs OPENAI_API_KEY"
    )
    choose(tab, "text")
    expect(tab.get_by_role("textbox", name="Public images")).to_be_hidden()

    # The scale and the number of ε are in step, both ways; advice is taken over
    epsilon, scale = tab.locator("#field-epsilon input"), tab.get_by_label("ε on a scale")
    scale.fill("0.5")
    expect(epsilon).to_have_value("3.2")
    expect(tab.locator("#meaning")).to_contain_text("ε = 3.2")
    epsilon.fill("1")
    expect(scale).to_have_value("0")
    expect(scale).to_have_attribute("aria-valuetext", "ε 1, strong")
    tab.get_by_label("About how many private images").fill("5000")
    tab.get_by_role("button", name="Use this").click()
    expect(tab.locator("#field-num-samples input")).to_have_value("300")
    expect(tab.locator("#meaning")).to_contain_text("suit the noise well")
    expect(said).to_contain_text("Changed from Text")

    # A prompt of a class reaches the run
    try_example(tab)
    tab.get_by_text("A prompt for each class (10)").click()
    tab.get_by_label("Prompt for class 3").fill("three")
    tab.get_by_label("Prompts").fill("many")
    tab.locator("#field-iterations input").fill("1")
    tab.locator("#field-num-samples input").fill("20")
    run_id = start(tab)
    wait_for(tab, "done")
    (header,) = app_home.glob(f"runs/{run_id}/run.json")
    config = json.loads(json.loads(header.read_text())["config"])
    assert config["prompts"] == ["many"]
    assert config["class_prompts"] == {"3": ["three"]}


def test_a_phone_has_room_for_every_card(tab):
    tab.set_viewport_size({"width": 360, "height": 800})
    open_page(tab, "text")
    tab.get_by_text("More generators").click()
    wide = tab.evaluate("document.documentElement.scrollWidth")
    assert wide == 360
