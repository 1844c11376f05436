"""Write the pictures of the page into assets/: ``python tests/tools/screenshots.py [FOLDER]``.

Drives the real application with a Chromium through one run of the example, with a fresh home.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ui"))
from chromium import CHROMIUM_ARGUMENTS, find_chromium, serve  # noqa: E402

SHOTS = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "assets" / "screenshots"
STRIP = ROOT / "assets" / "pictures" / "evolution.png"
DESKTOP = {"width": 1280, "height": 1100}
PHONE = {"width": 360, "height": 800}
LOOKS = [
    ("", DESKTOP, "light"),
    ("-dark", DESKTOP, "dark"),
    ("-phone", PHONE, "light"),
    ("-phone-dark", PHONE, "dark"),
]
STRIP_GENERATIONS = (0, 1, 3, 5)
STRIP_TILE, STRIP_GAP = 32, 3  # pixels


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        serve(Path(home)) as address,
        sync_playwright() as p,
    ):
        browser = p.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        for name, viewport, scheme in LOOKS:
            context = browser.new_context(
                base_url=address, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
            )
            context.set_default_timeout(300_000)
            page = context.new_page()
            _one_run(page, name)
            context.close()
        browser.close()


def _one_run(page: Page, name: str) -> None:
    page.goto("/")
    page.locator("#meaning", has_text="σ").wait_for()
    _loaded(page, ".strip img")
    _save(page, f"empty{name}")
    page.click(".try-example")
    page.wait_for_selector("#summary .found")
    _save(page, f"data{name}")
    _error(page, f"error{name}")
    page.keyboard.press("Control+Enter")
    page.wait_for_function("document.querySelector('.rows').dataset.generation >= 2")
    _loaded(page, ".tile img, .votes img")
    _save(page, f"running{name}")
    page.wait_for_selector('.live[data-status="done"]')
    page.wait_for_selector('.rows[data-generation="5"] .tile img')
    _loaded(page, ".tile img, .votes img")
    _save(page, f"finished{name}")
    if not name:
        _strip(page)
    _dialogs(page, name)


def _error(page: Page, name: str) -> None:
    """A setting out of its range, and what the page says of it."""
    field = page.get_by_label("Iterations")
    right = field.input_value()
    field.fill("0")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#problem p")
    page.locator("#problem").scroll_into_view_if_needed()
    _save(page, name, top=False)
    field.fill(right)
    page.wait_for_selector("#meaning .wrong", state="detached")


def _dialogs(page: Page, name: str) -> None:
    """What opens over the page: an image's family, ways to take the set out, all runs."""
    page.locator(".tile").first.click()
    page.wait_for_selector(".zoom[open]")
    _loaded(page, ".zoom img")
    _save(page, f"family{name}", top=False)
    page.keyboard.press("Escape")
    page.click(".take-out")
    page.wait_for_selector(".take[open]")
    _loaded(page, ".take-evolution")
    _save(page, f"take{name}", top=False)
    page.keyboard.press("Escape")
    page.click("#runs-button")
    page.wait_for_selector(".history[open] .history-list li")
    _loaded(page, ".history img")
    _save(page, f"history{name}", top=False)
    page.keyboard.press("Escape")


def _loaded(page: Page, selector: str) -> None:
    """Wait until the pictures at ``selector`` that are on screen have arrived."""
    page.wait_for_function(
        """selector => [...document.querySelectorAll(selector)].every(image =>
          image.getBoundingClientRect().top > innerHeight || !image.checkVisibility() ||
          image.naturalWidth > 0)""",
        arg=selector,
    )


def _save(page: Page, name: str, top: bool = True) -> None:
    page.mouse.move(1, 1)
    if top and page.viewport_size == DESKTOP:
        page.evaluate("scrollTo(0, 0)")
    shot = Image.open(io.BytesIO(page.screenshot()))
    shot.convert("RGB").quantize(200).save(SHOTS / f"{name}.png", optimize=True)


def _strip(page: Page) -> None:
    run = page.evaluate("new URLSearchParams(location.search).get('run')")
    step = STRIP_TILE + STRIP_GAP
    size = (10 * step - STRIP_GAP, len(STRIP_GENERATIONS) * step - STRIP_GAP)
    strip = Image.new("RGBA", size)
    for row, generation in enumerate(STRIP_GENERATIONS):
        gallery = page.request.get(f"/runs/{run}/gallery/{generation}.json").json()
        for column, shown in enumerate(gallery["rows"]):
            path = f"/runs/{run}/images/{generation}/{shown['indices'][3]}.png"
            tile = Image.open(io.BytesIO(page.request.get(path).body()))
            strip.paste(tile, (column * step, row * step))
    strip.save(STRIP, optimize=True)


if __name__ == "__main__":
    main()
