"""What both network generators do, over real HTTP with a server that fails in every way."""

import gzip
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
import traceback
import zipfile
from collections import Counter
from contextlib import closing
from email.utils import formatdate

import numpy as np
import pytest

from pe_engine.components import checked_options, estimate, fitting_size, generator_class
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import calling, wire
from pe_engine.generators.base import PIXELS
from pe_engine.generators.calling import Refusal, asked_wait
from tests.conftest import ROOT
from tests.generators.image_server import (
    KEY,
    KINDS,
    ImageServer,
    Reply,
    address,
    generators,
    picture,
)

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The user's key, and next to no waits."""
    for name in ("OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(calling, "FIRST_WAIT", 0.01)


@pytest.fixture
def server():
    with ImageServer() as one:
        yield one


@pytest.fixture
def service():
    with generators() as make:
        yield make


def rng(seed=0):
    return np.random.default_rng(seed)


def draw(generator, n=4, prompt="a cat"):
    return generator.random([""] * n, [prompt] * n, rng())


def error_of(generator, n=1):
    """What the user reads when n images cannot be had."""
    with pytest.raises(GeneratorError) as caught:
        draw(generator, n)
    return str(caught.value)


# The two calls ----------------------------------------------------------------------------------


def test_states_hold_the_images_and_their_prompts(kind, server, tmp_path, service):
    made = service(kind, server, tmp_path)
    state = made.random(["cat", "", "dog"], ["", "a red fox ", "a hound"], rng())
    assert state["prompt"].tolist() == ["a photo of cat", "a red fox", "a hound"]
    assert state[PIXELS].shape == (3, 32, 32, 3)
    assert state[PIXELS].dtype == np.uint8
    assert made.varies_pixels
    varied = made.vary(state, 0.5, rng(1))
    assert varied["prompt"].tolist() == state["prompt"].tolist()
    assert (varied[PIXELS] != state[PIXELS]).any(axis=(1, 2, 3)).all()
    assert made.render(varied) is varied[PIXELS]
    assert len(server.asked) == 6
    sent = json.dumps([[a.path, a.fields] for a in server.asked])
    assert "a photo of cat" in sent


def test_the_same_randomness_asks_for_the_same(kind, server, tmp_path, service):
    states = []
    for folder in ("one", "two"):
        made = service(kind, server, tmp_path / folder)
        first = draw(made, 3)
        states += [first[PIXELS], made.vary(first, 0.3, rng(1))[PIXELS]]
    assert np.array_equal(states[0], states[2])
    assert np.array_equal(states[1], states[3])
    keys = [asked.key for asked in server.asked]
    assert sorted(keys[:6]) == sorted(keys[6:])
    assert len(set(keys)) == 6


def test_every_image_is_asked_for_by_itself(kind, server, tmp_path, service):
    """Another seed, prompt, degree or parent is another wish; batch-mates make no difference."""
    made = service(kind, server, tmp_path)
    state = draw(made, 2)
    draw(made, 1)
    assert len(server.asked) == 2
    made.vary(state, 0.5, rng(1))
    made.vary(state, 0.9, rng(1))
    made.vary({n: a[::-1] for n, a in state.items()}, 0.5, rng(1))
    made.random([""], ["a dog"], rng())
    asked = len({asked.key for asked in server.asked})
    # OpenAI's protocol knows no seeds, so that this server draws the two parents alike
    assert asked == len(server.asked) == (7 if kind == "openai_images" else 9)


def test_degree_0_changes_nothing_and_costs_nothing(kind, server, tmp_path, service):
    made = service(kind, server, tmp_path)
    state = draw(made, 2)
    assert made.vary(state, 0.0, rng(1)) is state
    assert len(server.asked) == 2


def test_pictures_from_elsewhere_are_adopted(kind, server, tmp_path, service):
    made = service(kind, server, tmp_path)
    images = rng().integers(0, 256, (2, 32, 32, 3), np.uint8)
    state = made.adopt(images, ["cat", "dog"], ["", "a hound"], rng())
    assert state["prompt"].tolist() == ["a photo of cat", "a hound"]
    assert made.render(state) is images
    assert not server.asked
    assert made.vary(state, 0.5, rng())[PIXELS].shape == images.shape


def test_an_image_needs_a_prompt(kind, server, tmp_path, service):
    made = service(kind, server, tmp_path)
    with pytest.raises(GeneratorError, match="Type a prompt"):
        made.random(["cat", ""], ["", " "], rng())
    plain = service(kind, server, tmp_path, template="a satellite view")
    assert plain.random([""], [""], rng())["prompt"].tolist() == ["a satellite view"]
    assert len(server.asked) == 1


# Calls ------------------------------------------------------------------------------------------


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
        "no picture": Reply(200, b'{"data": [{"b64_json": "AAAA"}]}'),
    }
    return replies.get(fault) or Reply(int(fault))


@pytest.mark.parametrize(
    "fault",
    [
        *("408", "409", "425", "429", "500", "502", "503", "504", "529"),
        *("cut", "no json", "no image", "null", "a number", "no base64", "nothing", "words"),
        *("half an image", "no picture"),
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


# What is paid for -------------------------------------------------------------------------------


def test_nothing_is_asked_for_twice(kind, server, tmp_path, service):
    one = service(kind, server, tmp_path)
    state = draw(one, 4)
    varied = one.vary(state, 0.5, rng(1))
    asked = len(server.asked)
    other = service(kind, server, tmp_path)  # as after a crash
    again = draw(other, 4)
    assert np.array_equal(again[PIXELS], state[PIXELS])
    assert np.array_equal(other.vary(again, 0.5, rng(1))[PIXELS], varied[PIXELS])
    assert len(server.asked) == asked


def test_answers_are_the_owners_alone_and_of_the_image_size(kind, server, tmp_path, service):
    folder = tmp_path / "generator" / "model"
    draw(service(kind, server, folder), 2)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".png", ".png"]
    assert {file.stem for file in files} == {asked.key for asked in server.asked}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(b"IHDR\0\0\0\x20\0\0\0\x20" in file.read_bytes() for file in files)


def test_an_answer_that_the_disk_has_lost_is_asked_for_again(kind, server, tmp_path, service):
    state = draw(service(kind, server, tmp_path), 2)
    lost = next(tmp_path.glob("*.png"))
    lost.write_bytes(lost.read_bytes()[:40])
    (tmp_path / ".half.png.part").write_bytes(b"")  # of a process that was killed
    again = draw(service(kind, server, tmp_path), 2)
    assert np.array_equal(again[PIXELS], state[PIXELS])
    assert sorted(server.answered.values()) == [1, 2]


def test_no_more_calls_than_agreed_to(kind, server, tmp_path, service):
    assert checked_options(kind, {}).most_calls == 0
    made = service(kind, server, tmp_path, most_calls=3)
    draw(made, 2)
    with pytest.raises(GeneratorError, match="2 images, and 2 more would exceed the 3 calls"):
        made.vary(draw(made, 2), 0.5, rng(1))
    assert len(server.asked) == 2
    other = service(kind, server, tmp_path, most_calls=3)  # counts what the run has stored
    with pytest.raises(GeneratorError, match="exceed the 3 calls"):
        other.random([""] * 2, ["a dog"] * 2, rng())
    other.random([""], ["a dog"], rng())
    assert len(server.asked) == 3


def test_nothing_is_asked_for_outside_of_a_run(kind, server):
    with closing(generator_class(kind)(32, "cpu", **address(kind, server))) as made:
        assert "only within a run" in error_of(made)
    assert not server.asked


def test_the_estimate_says_calls_and_cost(kind, server):
    there = address(kind, server)
    told = estimate(kind, there, 200)
    assert (told.calls, told.cost, told.accepted) == (200, None, 1000)
    assert told.service == server.url.removeprefix("http://")
    assert estimate(kind, {**there, "price": 0.02}, 200).cost == pytest.approx(4.0)


# The key ----------------------------------------------------------------------------------------


def test_a_missing_or_broken_key_is_said_before_anything_is_made(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    name = {"openai_images": "OPENAI_API_KEY", "hf_inference": "HF_TOKEN"}[kind]
    monkeypatch.delenv(name)
    with pytest.raises(GeneratorError, match=f"environment variable {name}"):
        fitting_size(kind, {}, 64)
    monkeypatch.setenv(name, "sk-half a-key")
    with pytest.raises(GeneratorError, match=f"{name} has characters that no key has") as caught:
        fitting_size(kind, {}, 64)
    assert "half" not in str(caught.value)


def told(error):
    """All that an exception and those behind it say in any way."""
    seen = []
    while error is not None:
        seen += [str(error), repr(error), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(seen)


@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 429, 500])
def test_the_key_is_never_shown_nor_stored(kind, status, server, tmp_path, caplog, service):
    caplog.set_level(logging.DEBUG)
    echo = json.dumps({"error": {"message": f"You sent Bearer {KEY}, {KEY}", "code": KEY}})
    made = service(kind, server, tmp_path, attempts=2)
    draw(made, 1)
    headers = {"Location": "https://example.org/"} if status == 307 else {}
    server.special = lambda asked: Reply(status, echo.encode(), headers)
    with pytest.raises(GeneratorError) as caught:
        draw(made, 2)
    assert KEY not in told(caught.value)
    assert KEY not in caplog.text
    assert len(caplog.records) > 3
    assert KEY not in repr(made) + repr(made.options) + repr(vars(made))
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.rglob("*.*"))
    assert not any(KEY in json.dumps(asked.fields) for asked in server.asked)


def test_the_key_is_not_sent_on_by_a_redirect(kind, server, tmp_path, service):
    with ImageServer() as other:
        server.special = lambda asked: Reply(307, headers={"Location": f"{other.url}/v1/x"})
        said = error_of(service(kind, server, tmp_path))
        assert "sends calls on to another address" in said
        assert not other.asked
        assert not other.strangers


def test_a_wrong_key_is_said(kind, server, tmp_path, monkeypatch, service):
    name = {"openai_images": "OPENAI_API_KEY", "hf_inference": "HF_TOKEN"}[kind]
    monkeypatch.setenv(name, "sk-another-key")
    said = error_of(service(kind, server, tmp_path))
    assert f"does not accept your key. Check {name}" in said
    assert "another" not in said
    assert server.strangers == 1


# Servers that mean harm -------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_an_endless_answer_is_not_read(kind, packed, server, tmp_path, monkeypatch, service):
    monkeypatch.setattr(wire, "MOST_BYTES", 2**20)
    body = bytes(2**21)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    body = gzip.compress(body) if packed else body
    server.special = lambda asked: Reply(200, body, headers)
    assert "more than 1 MiB" in error_of(service(kind, server, tmp_path))
    assert len(server.asked) == 1


def test_an_image_of_too_many_pixels_is_not_decoded(kind, server, tmp_path, monkeypatch, service):
    monkeypatch.setattr(f"pe_engine.generators.{kind}.MOST_PIXELS", 64 * 63)
    said = error_of(service(kind, server, tmp_path, attempts=1))
    assert "64 x 64 pixels, more than the 4,032 allowed" in said


def test_a_packed_answer_is_understood(kind, server, tmp_path, service):
    def packed(asked):
        usual = server._drawn(asked)
        return Reply(200, gzip.compress(usual.body), {"Content-Encoding": "gzip"}, usual.kind)

    plain = draw(service(kind, server, tmp_path / "plain"), 1)
    server.special = packed
    assert np.array_equal(draw(service(kind, server, tmp_path), 1)[PIXELS], plain[PIXELS])


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("example.org", "is no web address"),
        ("file:///etc/passwd", "is no web address"),
        ("http://[", "is no web address"),
        ("https://example.org:x/", "is no web address"),
        ("https://me:secret@example.org/v1", "Leave out user names"),
        ("https://example.org/v1?key=secret", "Leave out user names"),
        ("http://example.org/v1", "Use https"),
        ("http://8.8.8.8/v1", "Use https"),
    ],
)
def test_addresses_that_a_key_may_not_be_sent_to(kind, typed, sentence):
    name = {"openai_images": "base_url", "hf_inference": "endpoint"}[kind]
    with pytest.raises(ConfigError, match=sentence) as caught:
        checked_options(kind, {name: typed})
    assert "secret" not in str(caught.value)
    for fine in ("https://example.org/v1", "http://localhost:1/v1", "http://192.168.0.7/v1"):
        checked_options(kind, {name: fine})


# The whole path ---------------------------------------------------------------------------------


def test_a_run_that_is_killed_and_resumed_makes_no_call_twice(kind, tmp_path, digits):
    """Three generations with every third call failing, killed once, end in a verified zip."""
    with ImageServer(faults=0.3, pause=0.02, hang=0.6) as server:
        given = address(kind, server) | {"concurrency": 12, "timeout": 0.4}
        run = [sys.executable, "-m", "pe_engine", "run", digits, "--output", tmp_path / "out"]
        run += ["--generator", kind, "--image-size", "28", "--iterations", "3", "--num-samples"]
        run += ["12", "--lookahead", "1", "--epsilon", "5"]
        run += [part for item in given.items() for part in ("--option", "{}={}".format(*item))]
        home = {"PE_HOME": str(tmp_path / "home"), "OPENAI_API_KEY": KEY, "HF_TOKEN": KEY}
        how = {"cwd": ROOT, "env": os.environ | home, "stdout": subprocess.PIPE, "text": True}
        how["stderr"] = subprocess.STDOUT
        process = subprocess.Popen(list(map(str, run)), **how)
        while len(server.answered) < 16 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0]
        assert process.returncode == -signal.SIGKILL, said
        folder = tmp_path / "out" / "generator"
        stored = {file.stem for file in folder.glob("*.png")}
        before = len(server.asked)
        # asked again: at most what was under way and so not stored
        assert len(set(server.answered) - stored) + len(stored) > 0
        assert len(set(server.answered) - stored) <= 12

        resume = [sys.executable, "-m", "pe_engine", "resume", str(tmp_path / "out")]
        done = subprocess.run(resume, **how, check=False)
        assert done.returncode == 0, done.stdout
        asked_later = {asked.key for asked in server.asked[before:]}
        assert asked_later
        assert not asked_later & stored
        repeated = [key for key, times in server.answered.items() if times > 1]
        assert len(repeated) <= 12
        assert set(server.answered) == {file.stem for file in folder.glob("*.png")}
        assert len(server.failed) >= 4  # kinds of failure
    with zipfile.ZipFile(tmp_path / "out" / "synthetic.zip") as release:
        assert release.testzip() is None
        assert len([n for n in release.namelist() if n.endswith(".png")]) >= 12
    everything = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert not any(KEY.encode() in file.read_bytes() for file in everything)
    assert KEY not in said + done.stdout
