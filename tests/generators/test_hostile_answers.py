"""Images in answers that would hang or end whoever decodes them: a sentence, a wasted call, and no
process left."""

import base64
import json
from functools import partial

import numpy as np
import psutil
import pytest

from pe_engine.decode_pool import DecodePool
from pe_engine.generators import answers
from pe_engine.generators.answers import Waste
from pe_engine.generators.base import PIXELS
from tests.generators.image_server import KINDS, Reply, draw, error_of
from tests.hostile.making import image, many_scans

pytestmark = [pytest.mark.parametrize("kind", KINDS), pytest.mark.usefixtures("customer")]

LARGE = image(90, "JPEG", (300, 300)) + bytes(8192)  # too large to be decoded without a process


def answer(kind, data):
    if kind == "hf_inference":
        return Reply(body=data, kind="image/jpeg")
    said = {"created": 1, "data": [{"b64_json": base64.b64encode(data).decode()}]}
    return Reply(body=json.dumps(said).encode())


def test_an_image_that_hangs_ends_the_run_by_a_sentence(
    kind, server, tmp_path, monkeypatch, service
):
    monkeypatch.setattr(answers, "DecodePool", partial(DecodePool, seconds=1.0))
    server.special = lambda asked: answer(kind, many_scans(4000, 4000, 3000))
    made = service(kind, server, tmp_path)
    assert "takes more than 1 seconds to decode" in error_of(made)
    assert len(Waste(tmp_path, 0)) == 1
    server.special = lambda asked: answer(kind, LARGE)
    assert (abs(draw(made, 1)[PIXELS].astype(int) - 90) < 3).all()  # the next one is decoded
    assert len(server.asked) == 2


def test_an_image_that_crashes_its_reader_ends_the_run_by_a_sentence(
    kind, server, tmp_path, monkeypatch, service
):
    monkeypatch.setattr(
        "pe_engine.decode_pool._Process.ask",
        lambda process, *_: (process._popen.kill(), process._answer({}))[1],
    )
    server.special = lambda asked: answer(kind, LARGE)
    assert "its reader crashes or runs out of memory" in error_of(service(kind, server, tmp_path))
    assert len(Waste(tmp_path, 0)) == 1


def test_large_images_are_decoded_elsewhere_and_their_processes_end(
    kind, server, tmp_path, service
):
    before = set(psutil.Process().children())
    server.special = lambda asked: answer(kind, LARGE)
    made = service(kind, server, tmp_path, concurrency=8)
    assert np.ptp(draw(made, 8)[PIXELS]) < 3
    started = set(psutil.Process().children()) - before
    assert 1 <= len(started) <= min(8, psutil.cpu_count())
    made.close()
    assert not any(process.is_running() for process in started)


def test_without_processes_the_run_ends_by_a_sentence(kind, server, tmp_path, monkeypatch, service):
    def refused(*_, **__):
        raise OSError("no more processes")

    server.special = lambda asked: answer(kind, LARGE)
    made = service(kind, server, tmp_path)
    monkeypatch.setattr("pe_engine.decode_pool.subprocess.Popen", refused)
    assert "No process can be started" in error_of(made)
    assert len(Waste(tmp_path, 0)) == 1
