"""Taking a run out in a real browser: choose, download, look, save."""

import hashlib
import json
import os
import re
import zipfile

import pytest
from playwright.sync_api import expect
from test_page import open_page, set_budget, start, try_example, wait_for

pytest_plugins = ["browser_fixtures"]
SHOTS = os.environ.get("PE_SHOTS", "")


@pytest.fixture
def done(tab):
    open_page(tab)
    try_example(tab)
    set_budget(tab, iterations=2, samples=60)
    run_id = start(tab)
    wait_for(tab, "done")
    return run_id


def shoot(tab, name):
    if not SHOTS:
        return
    for theme in ("light", "dark"):
        tab.evaluate("d => document.body.classList.toggle('dark', d)", theme == "dark")
        for width, height in ((1280, 900), (360, 800)):
            tab.set_viewport_size({"width": width, "height": height})
            tab.screenshot(path=f"{SHOTS}/{name}-{theme}-{width}.png")
    tab.evaluate("document.body.classList.remove('dark')")
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_a_run_is_taken_out_as_one_wishes(tab, done, tmp_path):
    tab.get_by_role("button", name="More formats").click()
    dialog = tab.get_by_role("dialog", name="More formats")
    expect(dialog).to_be_visible()

    picture = dialog.get_by_alt_text("The evolution")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 200
    shoot(tab, "take")

    dialog.get_by_label("Generation").select_option("1")
    expect(dialog.get_by_label("Quality")).to_be_hidden()
    dialog.get_by_label("Format").select_option("webp")
    dialog.get_by_label("Quality").fill("80")
    dialog.get_by_label("Size").select_option("64")
    with tab.expect_download() as download:
        dialog.get_by_role("link", name="Download these images").click()
    assert download.value.suggested_filename == "synthetic-generation-1-webp.zip"
    download.value.save_as(tmp_path / "chosen.zip")
    check_zip(tmp_path / "chosen.zip")

    answer = tab.request.get(dialog.get_by_role("link", name="PDF").get_attribute("href"))
    assert answer.headers["content-type"] == "application/pdf" and answer.body()[:5] == b"%PDF-"
    with tab.expect_download() as download:
        dialog.get_by_role("link", name="GIF").click()
    download.value.save_as(tmp_path / "evolution.gif")
    assert (tmp_path / "evolution.gif").read_bytes().startswith(b"GIF89a")

    dialog.get_by_label("Folder", exact=True).fill(str(tmp_path / "taken"))
    dialog.get_by_role("button", name="Save").click()
    said = dialog.locator(".take-saved")
    expect(said).to_have_text(re.compile(rf"^Saved in {tmp_path}/taken/"))
    assert len(list(tmp_path.glob("taken/*/images/*/*.webp"))) == 60

    dialog.get_by_text("Send to the Hugging Face Hub").click()
    dialog.get_by_label("Name of the new data set").fill("ann/digits")
    dialog.get_by_label("Access token").fill("hf_something")
    shoot(tab, "take-hub")
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def check_zip(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(files.pop("manifest.json"))
    assert set(told["files"]) == set(files)
    for name, entry in told["files"].items():
        assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest()
    assert told["samples"] | {"classes": 0} == {
        "count": 60,
        "height": 64,
        "width": 64,
        "generation": 1,
        "format": "webp",
        "classes": 0,
    }
    assert told["privacy"]["epsilon"] > max(
        g["epsilon"] for g in told["privacy"]["generations"][:2]
    )
    assert sum(name.endswith(".webp") for name in files) == 60
    assert {"README.md", "report.html", "images/metadata.jsonl"} <= set(files)
