"""A browser found on this machine, and the real application to point it at."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--headless",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60


def find_chromium() -> str | None:
    """Path of a Chromium: ``PE_CHROMIUM``, else the first of ``NAMES`` on the PATH."""
    return os.environ.get("PE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(home: Path, port: int | None = None, auth: str = "") -> Iterator[str]:
    """Run ``app.py`` with ``PE_HOME=home`` and give its address; end it when left.

    Args:
        auth: accounts, as in ``PE_AUTH``.
    """
    port = port or free_port()
    environment = os.environ | {"PE_HOME": str(home), "PE_AUTH": auth}
    process = subprocess.Popen(
        [sys.executable, "app.py", "--no-browser", "--port", str(port)], cwd=ROOT, env=environment
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen) -> None:
    for _ in range(START_SECONDS * 5):
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended with exit code {process.returncode}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    raise RuntimeError(f"app.py does not answer at {address}")
