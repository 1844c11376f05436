"""Calls over HTTP to a server that fails in every way: which are repeated, and what is said."""

import base64
import io
import json
import threading
import time
from collections import Counter
from email.utils import formatdate

import numpy as np
import pytest
from PIL import Image

from pe_engine.errors import Interrupted
from pe_engine.generators import calling
from pe_engine.generators.base import PIXELS
from pe_engine.generators.calling import Refusal, asked_wait
from tests.generators.image_server import KEY, KINDS, ImageServer, Reply, draw, error_of, picture

pytestmark = [pytest.mark.parametrize("kind", KINDS), pytest.mark.usefixtures("customer")]


def test_so_many_calls_are_under_way_and_no_more(kind, tmp_path, service):
    with ImageServer(pause=0.05) as server:
        made = service(kind, server, tmp_path, concurrency=3)
        assert made.batch_size == 6
        draw(made, 12)
        assert server.most_at_once == 3


def broken(fault, asked):
    """A reply that fails like that, to a request for a picture of 64 x 64 pixels."""
    whole = picture(asked.fields)
    replies = {
        "cut": Reply(200, whole[:50], {}, "image/png", len(whole)),
        "no json": Reply(200, b'{"created": 1, "da'),
        "no image": Reply(200, b'{"created": 1, "data": []}'),
        "null": Reply(200, b"null"),
        "a number": Reply(200, b'{"data": [{"b64_json": 7}]}'),
        "no base64": Reply(200, b'{"data": [{"b64_json": "x"}]}'),
        "nothing": Reply(200, b""),
        "words": Reply(200, b"<p>please wait</p>", {}, "text/html"),
        "half an image": Reply(200, whole[: len(whole) // 2], {}, "image/png"),
    }
    return replies.get(fault) or Reply(int(fault))


@pytest.mark.parametrize(
    "fault",
    [
        *("408", "409", "425", "429", "500", "502", "503", "504", "529"),
        *("cut", "no json", "no image", "null", "a number", "no base64", "nothing", "words"),
        *("half an image"),
    ],
)
def test_what_may_pass_is_asked_again_under_the_same_key(kind, fault, server, tmp_path, service):
    server.special = lambda asked: None if asked.number >= 2 else broken(fault, asked)
    draw(service(kind, server, tmp_path), 2)
    assert sorted(Counter(asked.key for asked in server.asked).values()) == [3, 3]
    assert sorted(server.answered.values()) == [1, 1]


def test_a_service_that_hangs_is_asked_again(kind, server, tmp_path, service):
    def hang(asked):
        if asked.number == 0:
            time.sleep(0.6)
            return Reply(500)
        return None

    server.special = hang
    draw(service(kind, server, tmp_path, timeout=0.3), 1)
    assert len(server.asked) == 2


def test_a_service_that_drips_does_not_hold_a_call_for_ever(kind, server, tmp_path, service):
    server.special = lambda asked: Reply(200, b" " * 1000, drip=0.05)
    said = error_of(service(kind, server, tmp_path, timeout=0.3, attempts=1))
    assert "did not answer in 0.3 seconds" in said


def test_nobody_there_is_said(kind, server, tmp_path, service):
    made = service(kind, server, tmp_path, attempts=2)
    server.__exit__()
    said = error_of(made)
    assert "gave no image in 2 attempts" in said
    assert "the connection failed or broke off" in said
    assert "resume the run" in said


def test_attempts_are_bounded(kind, server, tmp_path, service):
    server.special = lambda asked: Reply(500)
    said = error_of(service(kind, server, tmp_path, attempts=3))
    assert "gave no image in 3 attempts" in said
    assert "HTTP status 500" in said
    assert len(server.asked) == 3


def test_a_service_is_waited_for_as_long_as_it_asks(kind, server, tmp_path, service):
    came = []

    def busy(asked):
        came.append(time.monotonic())
        wait = {0: {"Retry-After": "0.2"}, 1: {"Retry-After-Ms": "200", "Retry-After": "9"}}
        return Reply(429, headers=wait[asked.number]) if asked.number in wait else None

    server.special = busy
    draw(service(kind, server, tmp_path), 1)
    assert len(came) == 3
    assert min(np.diff(came)) >= 0.2


def test_a_service_that_asks_for_a_long_wait_is_not_waited_for(kind, server, tmp_path, service):
    server.special = lambda asked: Reply(429, headers={"Retry-After": "3600"})
    said = error_of(service(kind, server, tmp_path))
    assert "asks to wait 3,600 seconds, and 120 are the most" in said
    assert len(server.asked) == 1


NOES = [
    (401, "invalid_api_key", "Incorrect key", "does not accept your key. Check"),
    (402, "", "Pay first", "no credit left"),
    (429, "insufficient_quota", "You exceeded your current quota", "no credit left"),
    (400, "billing_hard_limit_reached", "Billing hard limit", "no credit left"),
    (403, "", "Verify your organisation", "does not let your account do this (Verify"),
    (404, "model_not_found", "No model x", "has no such model or address (No model x"),
    (400, "moderation_blocked", "Rejected", "refuses the prompt 'a cat' by its rules on content"),
    (400, "", "Your request was rejected by the safety system", "refuses the prompt 'a cat'"),
    (400, "", "Invalid size", "refuses the call with HTTP status 400 (Invalid size"),
    (422, "", "steps\x1b[2J\n too many", "HTTP status 422 (steps [2J too many"),
    (418, "", "", "refuses the call with HTTP status 418"),
]


@pytest.mark.parametrize(("status", "code", "words", "sentence"), NOES)
def test_what_will_not_pass_is_said_at_once(
    kind, status, code, words, sentence, server, tmp_path, service
):
    body = {"error": {"message": words, "code": code}}
    if kind == "hf_inference":
        body = {"error": f"{words} {code}".strip()}
    server.special = lambda asked: Reply(status, json.dumps(body, ensure_ascii=False).encode())
    said = error_of(service(kind, server, tmp_path))
    expected = sentence
    if kind == "hf_inference":  # its words come as they are, in JSON
        expected = sentence.partition(" (")[0]
    assert expected in said
    assert said.endswith("What has been paid for is kept: resume the run to go on.")
    assert "\x1b" not in said
    assert len(server.asked) == 1


def test_a_limit_of_the_rate_that_speaks_of_bills_may_pass(kind):
    words = "Rate limit reached. Add a payment method at example.org/account/billing."
    passing = Refusal("x", 429, {}, words).problem("KEY", KEY, "a cat")
    assert isinstance(passing, calling.Passing)


def test_calls_under_way_are_finished_and_kept(kind, server, tmp_path, service):
    """One of eight fails for good while three others are under way; four are not begun."""
    bad = {}

    def refuse(asked):
        if not bad or asked.key in bad:
            bad[asked.key] = True
            until = time.monotonic() + 10
            while server.most_at_once < 4 and time.monotonic() < until:
                time.sleep(0.01)
            return Reply(400)
        time.sleep(0.1)
        return None

    server.special = refuse
    said = error_of(service(kind, server, tmp_path, concurrency=4), 8)
    assert "status 400" in said
    assert len(server.asked) == 4
    assert sum(server.answered.values()) == 3
    server.special = lambda asked: None
    assert draw(service(kind, server, tmp_path), 8)[PIXELS].shape == (8, 32, 32, 3)
    assert set(server.answered.values()) == {1}
    assert len(server.asked) == 4 + 5


def test_a_call_that_waits_does_not_hold_up_the_end(kind, server, tmp_path, service):
    first = []

    def busy(asked):
        first.append(asked.key)
        return Reply(429, headers={"Retry-After": "100"}) if len(first) == 1 else Reply(400)

    server.special = busy
    started = time.monotonic()
    assert "status 400" in error_of(service(kind, server, tmp_path, concurrency=2), 2)
    assert time.monotonic() - started < 50
    assert len(server.asked) == 2


@pytest.mark.parametrize("kept", ["PPM", "ICO"])
def test_a_format_that_is_not_read_will_come_again(kind, kept, server, tmp_path, service):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, kept)
    said = {"data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]}
    body = json.dumps(said).encode() if kind == "openai_images" else buffer.getvalue()
    server.special = lambda asked: Reply(200, body)
    told = error_of(service(kind, server, tmp_path))
    assert "An image that the service made is not a PNG" in told
    assert "asks for another model or size" in told
    assert len(server.asked) == 1


# Stops --------------------------------------------------------------------------------------------


def test_a_stop_ends_waits_but_not_calls(kind, server, tmp_path, service):
    """One call is told to wait, one is under way, two have not begun."""
    stop, busy, under_way = threading.Event(), threading.Event(), threading.Event()
    waiting = []

    def slow(asked):
        if not waiting:
            waiting.append(asked.key)
            busy.set()
            return Reply(429, headers={"Retry-After": "100"})
        under_way.set()
        stop.wait(10)
        time.sleep(0.3)  # longer than a stop takes to be heeded
        return None

    server.special = slow
    made = service(kind, server, tmp_path, concurrency=2)
    made.heed(stop)

    def user():
        assert busy.wait(10)
        assert under_way.wait(10)
        stop.set()

    threading.Thread(target=user).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        draw(made, 4)
    assert time.monotonic() - started < 50
    assert len(server.asked) == 2
    assert len(list(tmp_path.glob("*.png"))) == 1  # what was under way is kept
    server.special = lambda asked: None
    stop.clear()
    assert draw(made, 4)[PIXELS].shape == (4, 32, 32, 3)
    assert set(server.answered.values()) == {1}


def test_a_call_that_fails_after_a_stop_is_no_failure(kind, server, tmp_path, service):
    stop = threading.Event()

    def refuse(asked):
        stop.set()
        return Reply(400)

    server.special = refuse
    made = service(kind, server, tmp_path)
    made.heed(stop)
    with pytest.raises(Interrupted):
        draw(made, 1)


def test_after_a_stop_no_other_call_begins(kind, server, tmp_path, service):
    stop = threading.Event()
    server.special = lambda asked: stop.set()
    made = service(kind, server, tmp_path, concurrency=1)
    made.heed(stop)
    with pytest.raises(Interrupted):
        draw(made, 2)
    assert len(server.asked) == 1
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_once_stopped_nothing_is_asked_for(kind, server, tmp_path, service):
    made = service(kind, server, tmp_path)
    state = draw(made, 2)
    stop = threading.Event()
    stop.set()
    made.heed(stop)
    with pytest.raises(Interrupted):
        draw(made, 3)
    assert np.array_equal(draw(made, 2)[PIXELS], state[PIXELS])  # nothing is needed for these
    assert len(server.asked) == 2


def test_the_waits_that_services_ask_for(kind):
    assert asked_wait({}) is None
    assert asked_wait({"retry-after": "2.5"}) == 2.5
    assert asked_wait({"retry-after": "-1"}) == 0
    assert asked_wait({"retry-after": "2", "retry-after-ms": "250"}) == 0.25
    assert asked_wait({"retry-after": "soon"}) is None
    assert asked_wait({"retry-after": "nan"}) is None
    assert asked_wait({"retry-after": "inf"}) == np.inf
    later = asked_wait({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert 50 < later <= 60
    assert asked_wait({"retry-after": formatdate(0, usegmt=True)}) == 0
