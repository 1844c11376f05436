"""Carry out the Dockerfile without a Docker engine, and try what it makes.

    sudo python tests/tools/rehearse_dockerfile.py /var/tmp/rehearsal

FROM becomes a clean Debian of that release by debootstrap, every other step runs in it by chroot,
in order, with the environment and as the user that the file says. The image's CMD is started, in a
network of its own as a container has, and the page asked for an answer; then a small run is made by
the command line, as the same user. It prints a table of the steps and their times. This machine's
own settings of pip and apt, and the authorities that it trusts, are put into the root first, and
are no part of the image.

Not rehearsed: layers and caching, HEALTHCHECK's timing, cgroups and what a registry does.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MACHINES = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/apt/auth.conf.d")
AUTHORITIES = "usr/local/share/ca-certificates"
NETWORK = "rehearsal"  # the machine's own ports may be taken
PAGE = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7860/', timeout=5).read())"
ANSWER_SECONDS = 120
ACCOUNT = "ann:a-long-password"
FIRST_RUN = (
    "python -m pe_engine run assets/examples/handwriting.zip --output /tmp/run "
    "--num-samples 100 --iterations 1 --epsilon 5"
)


@dataclass
class Image:
    """What the steps so far have made."""

    root: Path
    user: str = "root"
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/bin:/bin:/usr/sbin"})
    start: list[str] = field(default_factory=list)
    check: list[str] = field(default_factory=list)

    def command(self, words: list[str]) -> list[str]:
        """``words`` as a command of this machine that runs them in the image."""
        given = [f"{name}={value}" for name, value in self.environment.items()]
        inner = f"cd {shlex.quote(self.folder)} && exec {shlex.join(words)}"
        user = f"--userspec={self.user}"
        return ["chroot", user, str(self.root), "/usr/bin/env", "-i", *given, "sh", "-c", inner]


def instructions(text: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, the rest) of each line of a Dockerfile; continued lines are joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    lines = filter(None, map(str.strip, joined.splitlines()))
    return [tuple(line.split(maxsplit=1)) for line in lines]  # type: ignore[misc]


def carry_out(image: Image, name: str, rest: str) -> None:
    """One instruction.

    Raises:
        subprocess.CalledProcessError: a command of it failed.
        ValueError: nobody taught this tool the instruction.
    """
    if name == "FROM":
        _debian(image, re.fullmatch(r"debian:(\w+)-slim", rest)[1])
    elif name == "ENV":
        pairs = (word.partition("=") for word in shlex.split(rest))
        image.environment |= {key: value for key, _, value in pairs}
    elif name == "RUN":
        subprocess.run(image.command(["sh", "-c", rest]), check=True)
    elif name == "COPY":
        _copy(image, shlex.split(rest))
    elif name == "WORKDIR":
        image.folder = rest
        _inside(image, rest).mkdir(parents=True, exist_ok=True)
    elif name == "USER":
        image.user = rest
    elif name == "CMD":
        image.start = json.loads(rest)
    elif name == "HEALTHCHECK":
        image.check = json.loads(rest.partition("CMD ")[2])
    elif name not in ("VOLUME", "EXPOSE"):
        raise ValueError(f"This tool does not know {name}.")


def _debian(image: Image, release: str) -> None:
    subprocess.run(["debootstrap", "--variant=minbase", release, str(image.root)], check=True)
    for name in (*MACHINES, AUTHORITIES):
        source, target = Path("/", name), image.root / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copy(source, target)
    for name in ("proc", "dev"):
        subprocess.run(["mount", "--bind", f"/{name}", str(image.root / name)], check=True)


def _copy(image: Image, words: list[str]) -> None:
    owner = next((w.partition("=")[2] for w in words if w.startswith("--chown=")), "root")
    *sources, target = (word for word in words if not word.startswith("--"))
    ignored = shutil.ignore_patterns("__pycache__", "screenshots")
    for source in sources:
        place = _inside(image, str(Path(image.folder) / target))
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=ignored, dirs_exist_ok=True)
        else:
            place = place / source if place.is_dir() else place
            shutil.copy(ROOT / source, place)
        within = "/" + str(place.relative_to(image.root))
        subprocess.run(["chroot", str(image.root), "chown", "-R", owner, within], check=True)


def _inside(image: Image, path: str) -> Path:
    return image.root / path.lstrip("/")


def try_out(image: Image) -> list[tuple[str, float]]:
    """Start CMD, ask the page, check its health and make a run; (what, seconds) of each."""
    times = []
    image.environment["PE_AUTH"] = ACCOUNT
    began = time.monotonic()
    with _network(), _started(image) as server:
        _wait_for_page(image, server)
        times.append(("CMD, until the page answers", time.monotonic() - began))
        for what, words in (("HEALTHCHECK", image.check), (FIRST_RUN, shlex.split(FIRST_RUN))):
            began = time.monotonic()
            subprocess.run(_in_network(image, words), check=True)
            times.append((what, time.monotonic() - began))
    assert _inside(image, "/tmp/run/synthetic.zip").is_file()
    owners = {path.stat().st_uid for path in _inside(image, "/data").rglob("*")}
    assert owners == {1000}, owners
    return times


@contextmanager
def _network() -> Iterator[None]:
    subprocess.run(["ip", "netns", "add", NETWORK], check=True)
    try:
        subprocess.run(["ip", "-n", NETWORK, "link", "set", "lo", "up"], check=True)
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NETWORK], check=True)


@contextmanager
def _started(image: Image) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(_in_network(image, image.start))
    try:
        yield server
    finally:
        server.terminate()
        server.wait(30)


def _in_network(image: Image, words: list[str]) -> list[str]:
    return ["ip", "netns", "exec", NETWORK, *image.command(words)]


def _wait_for_page(image: Image, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + ANSWER_SECONDS
    ask = _in_network(image, ["python", "-c", PAGE])
    while time.monotonic() < until:
        assert server.poll() is None, "the page ended"
        answer = subprocess.run(ask, check=False, capture_output=True, text=True)
        if answer.returncode == 0:
            assert "Log in" in answer.stdout
            return
        time.sleep(0.2)
    raise AssertionError("the page does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="an empty folder; it is left as it is at the end")
    image = Image(parser.parse_args().root.resolve())
    assert pwd.getpwuid(os.getuid()).pw_name == "root", "chroot is for root"
    rows = []
    try:
        for name, rest in instructions((ROOT / "Dockerfile").read_text("utf-8")):
            began = time.monotonic()
            carry_out(image, name, rest)
            rows.append((f"{name} {rest}", time.monotonic() - began))
        rows += try_out(image)
    finally:
        for name in ("proc", "dev"):
            subprocess.run(["umount", str(image.root / name)], check=False)
        _report(rows, image.root)


def _report(rows: list[tuple[str, float]], root: Path) -> None:
    """Print what was done, also if the next step failed."""
    used = subprocess.run(["du", "-sxm", str(root)], check=True, capture_output=True, text=True)
    print("\n| Step | Seconds |\n|---|---|")
    for step, seconds in rows:
        shown = step if len(step) <= 90 else f"{step[:87]}..."
        print(f"| `{shown}` | {seconds:.1f} |")
    print(f"\n{int(used.stdout.split()[0]) / 1024:.1f} GiB on disk.")


if __name__ == "__main__":
    main()
