"""Decoding in processes that can be ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from pe_engine import decode_pool, decode_worker, reading
from pe_engine.data import open_dataset
from pe_engine.decode_pool import DecodePool
from pe_engine.decoding import DamagedError, UnreadableError, decode, decode_tiny
from pe_engine.errors import DataError
from tests.hostile.making import IEND, folder, idat, ihdr, image, many_scans, noisy, png, saved

MOST = 25_000_000
ROOT = Path(__file__).parents[1]
unix = pytest.mark.skipif(os.name == "nt", reason="needs the limits of a Unix system")


def children() -> list[psutil.Process]:
    """Processes of this one that decode, dead ones that nobody waited for included."""
    found = psutil.Process().children()
    return [c for c in found if c.status() == psutil.STATUS_ZOMBIE or _decodes(c)]


def _decodes(process: psutil.Process) -> bool:
    return any("decode_worker" in part for part in process.cmdline())


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    assert not children()


@pytest.fixture
def pool():
    with DecodePool() as pool:
        yield pool


@pytest.fixture(scope="module")
def endless() -> bytes:
    """A JPEG of 220 kB that takes minutes."""
    return many_scans(5000, 5000, 3000)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [16, 200])
def test_pixels_are_those_of_this_process(pool, file_format, size):
    data = noisy(file_format, (300, 200))
    np.testing.assert_array_equal(pool.decode(data, size, MOST), decode(data, size, MOST))


def test_grey_stays_one_channel(pool):
    grey = saved(Image.new("L", (50, 50), 9), "PNG")
    assert pool.decode(grey, 8, MOST).shape == (8, 8, 1)
    assert pool.decode(image(), 8, MOST).shape == (8, 8, 3)


def test_reasons_come_back(pool):
    with pytest.raises(UnreadableError, match="is not a PNG"):
        pool.decode(b"text", 8, MOST)
    with pytest.raises(UnreadableError, match="64 x 48 pixels, more than the 100"):
        pool.decode(noisy("PNG"), 8, 100)
    with pytest.raises(DamagedError, match="is damaged"):
        pool.decode(noisy("PNG")[:500], 8, MOST)
    assert len(children()) == 1


def test_file_that_takes_too_long_costs_itself(endless):
    late = pytest.raises(UnreadableError, match=r"takes more than 0\.5 seconds")
    with DecodePool(seconds=0.5) as pool, late:
        pool.decode(endless, 64, MOST)


def test_process_that_is_ended_is_replaced(pool):
    pool.decode(noisy("PNG"), 8, MOST)
    (process,) = children()
    process.kill()
    assert pool.decode(noisy("PNG"), 8, MOST).shape == (8, 8, 3)
    assert [child.pid for child in children()] != [process.pid]


def test_process_that_is_ended_at_work_gives_the_file_another_chance(pool, endless):
    """Somebody else may have ended it; the second time it is the file's fault."""
    seen = []
    with ThreadPoolExecutor() as threads:
        result = threads.submit(pool.decode, endless, 64, MOST)
        while len(seen) < 2:
            seen += [c for c in children() if c not in seen and c.cpu_times().user > 0.3]
            if seen and seen[-1].is_running():
                seen[-1].kill()
            time.sleep(0.01)
        with pytest.raises(UnreadableError, match="crashes or runs out of memory"):
            result.result()


@unix
def test_memory_is_bounded(pool):
    """25 million deep pixels fit; what would take 3 GB does not, and the process lives on."""
    deep = saved(Image.new("I", (5000, 5000), 9), "TIFF")
    assert pool.decode(deep, 8, MOST).shape == (8, 8, 1)
    with pytest.raises(UnreadableError, match="needs more memory"):
        pool.decode(png(ihdr(30_000, 30_000), idat(), IEND), 8, 10**9)
    assert pool.decode(noisy("PNG"), 8, MOST).shape == (8, 8, 3)
    (process,) = children()
    assert process.memory_info().rss < decode_worker.MEMORY_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_process_holds_neither_secrets_nor_files(pool, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with (tmp_path / "private").open("wb"):
        pool.decode(noisy("PNG"), 8, MOST)
        (process,) = children()
        there = Path("/proc") / str(process.pid)
        assert b"secret" not in (there / "environ").read_bytes()
        held = {str(link.readlink()) for link in (there / "fd").iterdir()}
    assert all(name.startswith("pipe:") or name == os.devnull for name in held)
    limits = (there / "limits").read_text()
    for name, most in {
        "Max open files": decode_worker._OPEN_FILES,
        "Max core file size": 0,
        "Max file size": 0,
        "Max address space": decode_worker.MEMORY_BYTES,
    }.items():
        (line,) = (line for line in limits.splitlines() if line.startswith(name))
        assert line.split()[-3:-1] == [str(most)] * 2 or line.split()[-2:] == [str(most)] * 2


def test_closing_ends_what_hangs_at_once(endless):
    pool = DecodePool(seconds=1000)
    with ThreadPoolExecutor() as threads:
        hanging = [threads.submit(pool.decode, endless, 64, MOST) for _ in range(2)]
        while not children():
            time.sleep(0.01)
        pool.close()
        for one in hanging:
            with pytest.raises(UnreadableError):
                one.result()
    pool.close()


def test_closed_iterator_ends_threads_and_processes(tmp_path, endless, monkeypatch):
    """Batches without an image come while a file hangs, so that a run can stop."""
    monkeypatch.setattr(reading, "DecodePool", partial(DecodePool, seconds=1000))
    files = {f"{i}.jpg": endless for i in range(3)}
    before = threading.active_count()
    batches = open_dataset(folder(tmp_path, files)).batches(8)
    batch = next(batches)
    assert (len(batch.images), batch.done, batch.skipped) == (0, 0, ())
    assert children()
    batches.close()
    assert not children()
    while threading.active_count() > before:  # the one that looks at the time
        time.sleep(0.01)


@unix
def test_process_ends_with_a_parent_that_was_killed(endless):
    code = (
        "import sys, threading; from pe_engine.decode_pool import DecodePool; p = DecodePool();"
        "from tests.hostile.making import noisy; p.decode(noisy('PNG'), 8, 10**6);"
        "print(next(iter(p._all))._popen.pid, flush=True); threading.Event().wait()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(60)


def test_answer_that_is_none_costs_the_file_and_is_never_unpickled(pool, monkeypatch):
    """A reader that was taken over may answer anything."""
    lie = "import os; os.write(1, b'\\x0c\\0\\0\\0\\0' + b'\\xff' * 100); os.read(0, 1)"
    monkeypatch.setattr(decode_pool, "_PROGRAM", lie)
    with pytest.raises(UnreadableError, match="crashes"):
        pool.decode(noisy("PNG"), 8, MOST)


def test_process_that_cannot_be_started_is_no_fault_of_the_files(tmp_path, monkeypatch):
    """Else every image would be skipped, and noise alone would choose."""
    monkeypatch.setattr(decode_pool, "_PROGRAM", "raise SystemExit(1)")
    source = folder(tmp_path, {"a.jpg": noisy("JPEG", (300, 300))})
    with pytest.raises(DataError, match="No process can be started"):
        list(open_dataset(source).batches(8))


def test_many_threads_share_the_pool(pool):
    files = [image(level, "JPEG", (200, 200)) for level in range(40)]
    with ThreadPoolExecutor(4) as threads:
        levels = list(threads.map(lambda data: pool.decode(data, 8, MOST)[0, 0, 0], files))
    assert np.abs(np.array(levels, int) - np.arange(40)).max() <= 2
    assert len(children()) <= 4


# --- What is decoded where it is ----------------------------------------------------------------


def test_tiny_files_start_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_pool, "_PROGRAM", "raise SystemExit(1)")
    source = folder(tmp_path, {"a.png": image(), "b.jpg": image(file_format="JPEG")})
    assert sum(len(batch.images) for batch in open_dataset(source).batches(8)) == 2


@pytest.mark.parametrize(
    ("data", "is_tiny"),
    [
        (image(size=(256, 256)), True),
        (image(file_format="JPEG", size=(256, 256)), True),
        (image(size=(257, 256)), False),
        (noisy("PNG"), False),
        (image(file_format="GIF"), False),
        (image(file_format="TIFF"), False),
        (image(file_format="WEBP"), False),
        (many_scans(5000, 5000, 1)[:8192], False),
    ],
)
def test_what_is_tiny(data, is_tiny):
    """Few bytes and few pixels, in a format whose header asks for nothing else."""
    assert (decode_tiny(data, 8, MOST) is not None) == is_tiny


def test_worst_tiny_file_is_soon_done(tmp_path):
    """As many scans as fit into 8 kB paint 65,536 pixels 500 times: as much work as one image of
    33 million pixels."""
    data = many_scans(256, 256, 100_000)[:8190] + b"\xff\xd9"
    scans = data.count(b"\xff\xda")
    assert scans * 65_536 < 65_536 * 8192 / 10
    assert decode_tiny(data, 8, MOST).shape == (8, 8, 1)
