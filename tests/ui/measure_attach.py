"""How soon a page shows a run that is at work: after a reload, and in a second tab. Prints a table.

    python tests/ui/measure_attach.py

From the request for the page to the first image of the run on screen, the median of several. Needs
a Chromium, as the browser tests do. Times depend on what else the machine does.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from chromium import CHROMIUM_ARGUMENTS, find_chromium, serve
from playwright.sync_api import Page, sync_playwright

REPEATS = 5
SHOWN = """() => {
  const image = document.querySelector('.live[data-status="running"] .generation .tile img');
  return image?.complete && image.naturalWidth > 0;
}"""


def begin(page: Page) -> None:
    """A run of the bundled example that lasts longer than the measurement."""
    page.goto("/")
    page.locator("#meaning", has_text="σ =").wait_for()
    page.locator('[name="preset"][value="text"]').check()
    page.locator('[name="generator"][value="text_render"]:checked').wait_for()
    page.get_by_role("button", name="Try the handwriting example").click()
    page.locator("#summary", has_text="5,000 images").wait_for()
    page.get_by_label("Iterations").fill("200")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function(SHOWN)


def seconds(show: Callable[[], Page]) -> float:
    """Until the page that ``show`` opens or reloads has the run's first image on screen."""
    began = time.monotonic()
    show().wait_for_function(SHOWN)
    return time.monotonic() - began


def measure(page: Page) -> dict[str, list[float]]:
    def reload() -> Page:
        page.reload(wait_until="commit")
        return page

    def second_tab() -> Page:
        tab = page.context.new_page()
        tab.goto(page.url, wait_until="commit")
        return tab

    def second() -> float:
        taken = seconds(second_tab)
        page.context.pages[-1].close()
        return taken

    return {
        "reload": [seconds(reload) for _ in range(REPEATS)],
        "second tab": [second() for _ in range(REPEATS)],
    }


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        serve(Path(home)) as address,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium
        browser = chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        page = browser.new_context(base_url=address).new_page()
        begin(page)
        before = os.getloadavg()[0]
        measured = measure(page)
        browser.close()
    print(f"Load before and after: {before:.1f}, {os.getloadavg()[0]:.1f}\n")
    print(f"| To the first image of a run at work | median of {REPEATS} | all |\n|---|---|---|")
    for what, taken in measured.items():
        each = ", ".join(f"{one:.2f}" for one in taken)
        print(f"| {what} | {statistics.median(taken):.2f} s | {each} |")


if __name__ == "__main__":
    main()
