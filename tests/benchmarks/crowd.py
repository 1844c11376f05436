"""Twenty browsers at once, or viewers during runs back to back: delays and memory, as tables.

    python tests/benchmarks/crowd.py sessions            # 20 visitors, each with a run of its own
    python tests/benchmarks/crowd.py soak --minutes 30   # memory and open files while runs follow

Visitors speak HTTP as the page does, from a process of their own; the server is ``app.py``, alone
in its process. ``sessions`` also asks for every other visitor's run, which must not be there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import httpx
import numpy as np
import psutil

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ui")]

from chromium import serve  # noqa: E402
from over_http import Visitor  # noqa: E402

EXAMPLE = {"kind": "example"}
SMALL = {
    "Generator": "text_render",
    "Iterations": "3",
    "Samples": "100",
    "Look-ahead": "2",
    "ε (epsilon)": "5",
}
SAMPLE_SECONDS = 30.0
WARM_UP = 0.25  # of all samples


@dataclass
class Watching:
    """One visitor, its run, and how long the page's events took to be answered, in seconds."""

    visitor: Visitor
    run_id: str = ""
    delays: list[float] = field(default_factory=list)

    def start(self, number: int) -> None:
        values = SMALL | {"Data set name": f"set {number}"}
        answer = self.visitor.call(self.visitor.events()["start"], source=EXAMPLE, values=values)
        self.run_id = answer[-1][1][0]
        assert self.run_id, answer

    def ask(self) -> None:
        """Change a field, as a person does, and wait for what the page then says."""
        began = time.monotonic()
        answer = self.visitor.call(self.visitor.events()["budget"])
        self.delays.append(time.monotonic() - began)
        assert "σ" in str(answer[-1]), answer

    def done(self) -> bool:
        return self.visitor.http.get(f"/runs/{self.run_id}/synthetic.zip").is_success

    def answered(self, runs: list[str]) -> int:
        """How many questions about these runs get another answer than that there is none."""
        paths = ("gallery/0.json", "images/0/0.png", "synthetic.zip", "report.html")
        asked = [self.visitor.http.get(f"/runs/{run}/{path}") for run in runs for path in paths]
        return sum(answer.status_code != 404 for answer in asked)


def watch(visitor: Visitor, run_id: str, ended: threading.Event) -> None:
    """Listen to a run as a tab does, again and again."""
    visitor.session = token_hex(8)
    attach = visitor.events()["attach"]
    while not ended.is_set():
        try:
            visitor.call(attach, event_data={"run_id": run_id}, most=20)
        except httpx.HTTPError:
            return
        if visitor.http.get(f"/runs/{run_id}/synthetic.zip").is_success:
            return


def sessions(count: int) -> None:
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as address:
        all_of_them = [Watching(Visitor(address)) for _ in range(count)]
        for number, each in enumerate(all_of_them):
            each.start(number)
        ended = threading.Event()
        viewers = [
            threading.Thread(target=_tab, args=(address, each, ended)) for each in all_of_them
        ]
        for viewer in viewers:
            viewer.start()
        while not all(each.done() for each in all_of_them):
            askers = [threading.Thread(target=each.ask) for each in all_of_them]
            for asker in askers:
                asker.start()
                time.sleep(0.05)
            for asker in askers:
                asker.join()
        ended.set()
        for viewer in viewers:
            viewer.join()
        ids = [each.run_id for each in all_of_them]
        own = sum(each.answered([each.run_id]) for each in all_of_them)
        others = sum(
            each.answered([other for other in ids if other != each.run_id]) for each in all_of_them
        )
    delays = np.concatenate([each.delays for each in all_of_them])
    print("| What | Measured |\n|---|---|")
    print(f"| visitors at once, each with a run and a tab that watches it | {count} |")
    print(f"| events of the page | {len(delays)} |")
    for percent in (50, 95, 100):
        print(f"| delay, {percent} % below | {np.percentile(delays, percent):.2f} s |")
    print(f"| questions about one's own run that were answered | {own} of {4 * count} |")
    print(f"| about others' runs | {others} of {4 * count * (count - 1)} |")


def _tab(address: str, each: Watching, ended: threading.Event) -> None:
    tab = Visitor(address)
    tab.http.cookies = each.visitor.http.cookies
    watch(tab, each.run_id, ended)


def soak(minutes: float, viewers: int) -> None:
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as address:
        server = _server_of(address)
        rows, began, runs = [], time.monotonic(), 0
        visitor, due = Watching(Visitor(address)), 0.0
        while time.monotonic() - began < minutes * 60:
            visitor.start(0)
            runs += 1
            ended = threading.Event()
            tabs = [
                threading.Thread(target=_tab, args=(address, visitor, ended))
                for _ in range(viewers)
            ]
            for tab in tabs:
                tab.start()
            while not visitor.done():
                visitor.ask()
            ended.set()
            for tab in tabs:
                tab.join()
            if (now := time.monotonic() - began) >= due:
                rows.append((now, *_measured(server), runs))
                due = now + SAMPLE_SECONDS
    print("| Minutes | Memory, MB | Open files | Runs |\n|---|---|---|---|")
    for seconds, memory, files, done in rows:
        print(f"| {seconds / 60:.1f} | {memory:.0f} | {files} | {done} |")
    warm = np.array(rows[int(len(rows) * WARM_UP) :], float)
    for column, what in ((1, "MB"), (2, "open files")):
        slope = np.polyfit(warm[:, 0] / 60, warm[:, column], 1)[0]
        print(f"\nAfter the warm-up: {slope:+.3f} {what} a minute")


def _server_of(address: str) -> psutil.Process:
    port = int(address.rpartition(":")[2])
    children = psutil.Process().children()
    found = [c for c in children if any(str(port) == word for word in c.cmdline())]
    return found[0]


def _measured(server: psutil.Process) -> tuple[float, int]:
    """Resident memory in MB, and open files with sockets, of the server and its children."""
    alive = [server, *server.children(recursive=True)]
    memory = sum(process.memory_info().rss for process in alive) / 10**6
    return memory, server.num_fds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("sessions").add_argument("--visitors", type=int, default=20)
    long = kinds.add_parser("soak")
    long.add_argument("--minutes", type=float, default=30)
    long.add_argument("--viewers", type=int, default=5)
    given = parser.parse_args()
    if given.kind == "sessions":
        sessions(given.visitors)
    else:
        soak(given.minutes, given.viewers)


if __name__ == "__main__":
    main()
