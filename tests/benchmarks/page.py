"""How heavy the page is and how soon it can be used; how soon the server answers; how soon a stop
or a pause takes effect. Prints a table.

    python tests/benchmarks/page.py            # all
    python tests/benchmarks/page.py stop       # the last only

Needs a Chromium, as the browser tests do. Times depend on what else the machine does.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ui")]

from chromium import CHROMIUM_ARGUMENTS, find_chromium, serve  # noqa: E402
from playwright.sync_api import BrowserContext, sync_playwright  # noqa: E402

from pe_engine.build import EXAMPLE  # noqa: E402
from pe_engine.jobs import JobManager  # noqa: E402
from pe_engine.snapshot import Status  # noqa: E402
from pe_engine.ui.fields import preset_config  # noqa: E402

USABLE = "#meaning"  # says σ once the page's first event was answered
REPEATS = 5
Row = tuple[str, str]


def load(context: BrowserContext) -> tuple[float, float, float, int]:
    """Seconds to the first paint and until the page is usable; bytes on the wire; requests."""
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    began = time.monotonic()
    page.goto("/")
    page.locator(USABLE, has_text="σ").wait_for()
    usable = time.monotonic() - began
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.wait_for_timeout(1500)  # what still comes after it
    page.close()
    return paint / 1000, usable, sum(sizes), len(sizes)


def page_rows() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        with serve(Path(home)) as address, sync_playwright() as playwright:
            rows.append(("server answers", f"{time.monotonic() - began:.2f} s"))
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS
            )
            for i in range(3):
                context = browser.new_context(base_url=address)
                for visit in ("empty", "filled"):
                    paint, usable, size, count = load(context)
                    said = f"paint {paint:.2f} s, usable {usable:.2f} s, {size / 1000:.0f} kB"
                    rows.append((f"visitor {i + 1}, {visit} cache", f"{said}, {count} requests"))
                context.close()
            browser.close()
    return rows


def stop_rows() -> list[Row]:
    """From the request to stop until the run with the miniature has stopped."""
    taken = []
    with tempfile.TemporaryDirectory() as home:
        manager = JobManager(Path(home))
        run = manager.submit(preset_config("handwriting"), EXAMPLE)
        for i in range(REPEATS):
            while not (run.snapshot.phase and run.snapshot.phase_fraction > 0):
                assert not run.snapshot.status.ended, run.snapshot.error
                time.sleep(0.02)
            time.sleep(0.5 + 0.3 * i)  # somewhere within a batch
            began = time.monotonic()
            manager.stop(run.run_id)
            assert run.wait(60).status is Status.STOPPED
            taken.append(time.monotonic() - began)
            manager.resume(run.run_id)
        manager.stop(run.run_id)
        manager.close()
    each = ", ".join(f"{seconds:.2f}" for seconds in taken)
    return [(f"stop, median of {REPEATS}", f"{statistics.median(taken):.2f} s ({each})")]


def main() -> None:
    rows = stop_rows() if sys.argv[1:] == ["stop"] else [*page_rows(), *stop_rows()]
    print("| What | Measured |\n|---|---|")
    for what, measured in rows:
        print(f"| {what} | {measured} |")


if __name__ == "__main__":
    main()
