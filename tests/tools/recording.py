"""Record a run into assets/screenshots/run.webp: ``python tests/tools/recording.py``.

A Chromium drives the real application; what its screen showed becomes 20 seconds of pictures.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ui"))
from chromium import CHROMIUM_ARGUMENTS, find_chromium, serve  # noqa: E402

OUT = ROOT / "assets" / "screenshots" / "run.webp"
WINDOW = {"width": 1200, "height": 880}
SECONDS = 20
PICTURES_PER_SECOND = 5
WIDTH = 900  # pixels in the recording
LAST_SECONDS = 2.5  # the end is shown for so long

Frames = list[tuple[float, bytes]]  # seconds, JPEG


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        serve(Path(home)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS
        )
        page = browser.new_page(base_url=address, viewport=WINDOW)
        page.set_default_timeout(300_000)
        frames = record(page)
        browser.close()
    save(resample(frames))
    print(f"{OUT}: {len(frames)} changes, {OUT.stat().st_size / 1e6:.1f} MB")


def record(page: Page) -> Frames:
    """What the screen showed, each change with its time."""
    frames: Frames = []
    page.goto("/")
    page.locator("#meaning", has_text="σ").wait_for()
    session = page.context.new_cdp_session(page)

    def keep(frame: dict) -> None:
        frames.append((frame["metadata"]["timestamp"], base64.b64decode(frame["data"])))
        session.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})

    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "jpeg", "quality": 90})
    page.wait_for_timeout(1500)
    page.click(".try-example")
    page.wait_for_selector("#summary .found")
    page.wait_for_timeout(1500)
    page.click("#run-button")
    page.wait_for_selector('.live[data-status="done"]')
    page.wait_for_timeout(2000)
    slider = page.get_by_label("Generation shown")
    for generation in (0, 1, 2, 3, 4, 5):
        slider.fill(str(generation))
        page.wait_for_timeout(700)
    session.send("Page.stopScreencast")
    frames.append((time.time(), frames[-1][1]))
    return frames


def resample(frames: Frames) -> list[Image.Image]:
    """The screen at even steps through the recording, which is made as long as it is to be."""
    start, end = frames[0][0], frames[-1][0]
    count = int((SECONDS - LAST_SECONDS) * PICTURES_PER_SECOND)
    pictures, at = [], 0
    for i in range(count):
        moment = start + (end - start) * i / count
        while at + 1 < len(frames) and frames[at + 1][0] <= moment:
            at += 1
        pictures.append(frames[at][1])
    return [_small(picture) for picture in [*pictures, frames[-1][1]]]


def _small(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    return picture.resize((WIDTH, round(WIDTH * picture.height / picture.width)), Image.LANCZOS)


def save(pictures: list[Image.Image]) -> None:
    """One file; pictures that are the same are one that is shown longer."""
    step = 1000 // PICTURES_PER_SECOND
    kept, durations = [pictures[0]], [step]
    for before, picture in pairwise(pictures):
        if picture.tobytes() == before.tobytes():
            durations[-1] += step
        else:
            kept.append(picture)
            durations.append(step)
    durations[-1] = int(1000 * LAST_SECONDS)
    kept[0].save(
        OUT, save_all=True, append_images=kept[1:], duration=durations, loop=0, quality=60, method=4
    )


if __name__ == "__main__":
    main()
