"""Hostile images through a whole run, the command line, the page's server and the image pool: what
leaves says nothing of them."""

from __future__ import annotations

import struct
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from pe_engine import reading
from pe_engine.build import continue_run
from pe_engine.cli import main
from pe_engine.config import RunConfig
from pe_engine.data import open_dataset
from pe_engine.decode_pool import DecodePool
from pe_engine.generators.image_pool import ImagePool
from pe_engine.jobs import JobManager
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import ROOT
from tests.hostile.image_case import SLOW
from tests.hostile.image_cases import CASES
from tests.hostile.making import folder, image, many_scans, noisy, packed

sys.path.append(str(ROOT / "tests" / "ui"))
from visitors import local_app, local_client

SECRET = "smith7f3a"
NAMES = (
    f"{SECRET}\n1",
    f"=cmd|'{SECRET}'!A1",
    f"<img src=x onerror={SECRET}>",
    f"\x1b[31m{SECRET}",
)
CONFIG = RunConfig(
    dataset_name="hostile",
    prompts=("x",),
    classes="none",
    iterations=2,
    num_samples=(12,),
    lookahead=0,
    epsilon=5.0,
    image_size=16,
)


@pytest.fixture(autouse=True)
def own_cache(place, monkeypatch):
    """Where the library that draws keeps its list of fonts."""
    monkeypatch.setenv("MPLCONFIGDIR", str(place / "fonts"))


@pytest.fixture
def private(place):
    """40 sound images and every hostile file that is not slow, by names that must not leave."""
    files = {f"{NAMES[i % 4]} {i}.png": noisy("PNG", (20 + i, 20)) for i in range(40)}
    hostile = [case.make() for case in CASES.values() if case.outcome != SLOW]
    files |= {f"{NAMES[i % 4]} bad {i}.png": data for i, data in enumerate(hostile)}
    files = {name.replace("/", "-"): data for name, data in files.items()}
    return packed(place / "private.zip", files, zipfile.ZIP_STORED)


def everything(root: Path) -> bytes:
    """All bytes of all files, those in zips and arrays unpacked as well, and all names."""
    told = []
    for path in sorted(root.rglob("*")):
        told.append(str(path.relative_to(root)).encode())
        if path.is_file():
            told.append(path.read_bytes())
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    told += [n.encode() + archive.read(n) for n in archive.namelist()]
    return b"\n".join(told)


def test_names_of_files_leave_nowhere(place, private, capsys):
    out = place / "out"
    arguments = [
        "run",
        str(private),
        "--output",
        str(out),
        "--dataset-name",
        "hostile",
        "--prompt",
        "x",
    ]
    quick = ["--classes", "none", "--iterations", "2", "--num-samples", "12", "--lookahead", "0"]
    assert main([*arguments, *quick, "--epsilon", "5", "--image-size", "16"]) == 0
    told = everything(out) + "".join(capsys.readouterr()).encode()
    assert b"synthetic" in told
    assert SECRET.encode() not in told
    assert SECRET.encode("utf-16-le") not in told
    assert b"onerror" not in told


def test_hostile_files_change_no_byte_of_what_the_others_vote_with(place, private):
    """Those that can be read are there, and no others."""
    digests = [d for batch in open_dataset(private, "none").batches(16) for d in batch.digests]
    accepted = sum(case.outcome == "accepted" for case in CASES.values())
    assert len(digests) == 40 + accepted


def test_error_of_a_set_without_a_sound_image_names_no_file(place, capsys):
    bad = {f"{name} {i}.png": b"x" for i, name in enumerate(NAMES)}
    files = {name.replace("/", "-"): data for name, data in bad.items()}
    source = packed(place / "private.zip", files)
    out = place / "out"
    arguments = [
        "run",
        str(source),
        "--output",
        str(out),
        "--dataset-name",
        "hostile",
        "--prompt",
        "x",
    ]
    assert main([*arguments, "--classes", "none", "--image-size", "16"]) == 2
    said = "".join(capsys.readouterr())
    assert "None of the files can be read as an image" in said
    assert SECRET not in said
    assert "Traceback" not in said
    assert SECRET.encode() not in everything(out)


def test_stopping_a_run_whose_files_hang_ends_its_processes(place, monkeypatch):
    monkeypatch.setattr(reading, "DecodePool", lambda: DecodePool(seconds=1000))
    endless = many_scans(5000, 5000, 3000)
    source = folder(place / "private", {f"{i}.jpg": endless for i in range(4)})
    manager = JobManager(place / "home")
    before = threading.active_count()
    run = manager.submit(CONFIG, source)
    while not (busy := _decoders()):
        assert run.snapshot.error == ""
        time.sleep(0.02)
    run.stop()
    run.wait(60)
    assert not any(process.is_running() for process in busy)
    assert not _decoders()
    manager.close()
    assert threading.active_count() <= before + 1


def _decoders() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [c for c in children if any("decode_worker" in part for part in c.cmdline())]


def test_image_pool_leaves_out_what_is_hostile(place):
    """The pool is decoded by the same processes."""
    cases = {name: case for name, case in CASES.items() if case.outcome != SLOW}
    files = {f"{i}.png": case.make() for i, case in enumerate(cases.values())}
    source = packed(place / "pool.zip", files | {"good.png": image(7)}, zipfile.ZIP_STORED)
    generator = ImagePool(16, "cpu", pool=str(source))
    state = generator.random([""] * 30, [""] * 30, np.random.default_rng(0))
    images = generator.render(state)
    generator.close()
    assert images.shape == (30, 16, 16, 3)
    accepted = sum(case.outcome == "accepted" for case in cases.values())
    assert len(generator._pool) >= accepted
    assert not _decoders()


def framed(name: bytes, data: bytes) -> bytes:
    return struct.pack("<HI", len(name), len(data)) + name + data


BODIES = {
    "a name that leads out": framed(b"../x.png", b"1"),
    "an absolute name": framed(b"/etc/x.png", b"1"),
    "a name with a backslash": framed(b"..\\x.png", b"1"),
    "a name with a NUL": framed(b"x\0.png", b"1"),
    "a name that is not UTF-8": framed(b"\xff.png", b"1"),
    "a name of 60,000 bytes": framed(b"x" * 60_000, b"1"),
    "a name 5,000 folders deep": framed(b"a/" * 5000 + b"x.png", b"1"),
    "an empty name": framed(b"", b"1"),
    "a body cut short": framed(b"x.png", b"12345")[:-2],
    "a length that lies": struct.pack("<HI", 5, 2**32 - 1) + b"x.png1",
    "noise": bytes(range(256)),
    "two files of one name": framed(b"x.png", b"1") * 2,
}


@pytest.fixture
def client(place):
    with local_client(local_app(place / "home")) as client:
        yield client


def begun(client) -> str:
    answer = client.post("/uploads")
    assert answer.status_code == 200
    return f"/uploads/{answer.json()['token']}"


@pytest.mark.parametrize("what", BODIES)
def test_hostile_upload_is_refused_by_a_sentence(place, client, what):
    address = begun(client)
    answer = client.post(f"{address}/files", content=BODIES[what])
    assert 400 <= answer.status_code < 500
    said = answer.json()["detail"]
    assert said.endswith(".") and "Traceback" not in said
    assert not list(place.rglob("x.png"))


@pytest.mark.parametrize("token", ["../../etc", "%2e%2e%2f", "x" * 5000, "0" * 32, "..", "%00"])
def test_hostile_token_is_not_found(client, token):
    answer = client.post(f"/uploads/{token}/files", content=framed(b"x.png", b"1"))
    assert answer.status_code in (404, 405, 422)


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\5\6" + bytes(10), b"PK\3\4" + bytes(500)])
def test_upload_that_is_no_zip_is_refused_and_gone(place, client, data):
    address = begun(client)
    client.post(f"{address}/zip?offset=0", content=data)
    answer = client.post(f"{address}/finish")
    assert 400 <= answer.status_code < 500
    assert not list((place / "home" / "uploads").iterdir())


def test_hostile_zip_that_is_uploaded_is_skipped_as_any(place, client, private):
    address = begun(client)
    data = private.read_bytes()
    for offset in range(0, len(data), 2**20):
        piece = data[offset : offset + 2**20]
        answer = client.post(f"{address}/zip?offset={offset}", content=piece)
        assert answer.status_code == 200, answer.text
    assert client.post(f"{address}/finish").status_code == 200
    ledger = Ledger(place / "ledger")
    path = next((place / "home" / "uploads").glob("*/upload.zip"))
    start_run(place / "out", CONFIG, path, ledger, upload=True)
    assert len([*continue_run(RunFolder(place / "out"), ledger)]) > 4
    assert SECRET.encode() not in everything(place / "out")
