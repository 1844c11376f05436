"""What generators that ask a service make of answers, and that they pay for none twice."""

import json
import stat
from contextlib import closing

import numpy as np
import pytest

from pe_engine.components import checked_options, generator_class
from pe_engine.errors import GeneratorError
from pe_engine.generators.answers import Waste
from pe_engine.generators.base import PIXELS
from tests.generators.image_server import (
    KINDS,
    Reply,
    address,
    draw,
    error_of,
)

pytestmark = [pytest.mark.parametrize("kind", KINDS), pytest.mark.usefixtures("customer")]


def rng(seed=0):
    return np.random.default_rng(seed)


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


# What is paid for ---------------------------------------------------------------------------------


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


def test_calls_that_bring_no_image_are_bounded(kind, server, tmp_path, service, monkeypatch):
    """A service may charge for them: the run ends with their number; to resume is to allow more."""
    monkeypatch.setattr("pe_engine.generators.services.LEAST_WASTE", 5)
    server.special = lambda asked: Reply(200, b'{"data": [{}]}') if asked.number < 3 else None
    how = {"most_calls": 4, "concurrency": 1}
    said = error_of(service(kind, server, tmp_path, **how), 3)
    assert said.startswith("5 calls to 127.0.0.1")
    assert "because it answered without an image. It may have charged for them" in said
    assert "besides the 1 images that it gave" in said
    assert "makes up for 5 more" in said
    assert said.endswith("resume the run to go on.")
    assert len(server.asked) == 5 + 1
    again = draw(service(kind, server, tmp_path, **how), 3)  # resumed: 1 + 3 are wasted
    assert again[PIXELS].shape == (3, 32, 32, 3)
    assert len(Waste(tmp_path, 0)) == 9
    assert len(server.asked) == 3 * 4


@pytest.mark.parametrize(("most_calls", "allowed"), [(0, 20), (200, 20), (201, 20), (5000, 500)])
def test_so_many_calls_may_bring_no_image(kind, most_calls, allowed):
    assert checked_options(kind, {"most_calls": most_calls}).may_waste == allowed


UNUSABLE = {
    "half": Reply(200, b'{"created": 1, "da'),
    "cut": Reply(200, b"{}", promised=100),
    "late": Reply(200, b" " * 1000, drip=0.05),
    "gateway": Reply(504),
}
REFUSED = {"400": Reply(400), "429": Reply(429), "500": Reply(500), "503": Reply(503)}


@pytest.mark.parametrize("reply", [*UNUSABLE, *REFUSED, "nobody"])
def test_what_may_have_been_charged_for_is_told_durably(kind, reply, server, tmp_path, service):
    server.special = lambda asked: (UNUSABLE | REFUSED)[reply]
    patience = 1 if reply in UNUSABLE else 20  # seconds: a busy machine's refusals come late
    made = service(kind, server, tmp_path, attempts=2, timeout=patience)
    if reply == "nobody":
        server.__exit__()
    error_of(made)
    assert len(Waste(tmp_path, 0)) == (2 if reply in UNUSABLE else 0)
    wasted = list(tmp_path.glob("wasted.txt"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in wasted} <= {0o600}


def test_an_image_that_can_never_be_used_is_told(kind, server, tmp_path, monkeypatch, service):
    monkeypatch.setattr("pe_engine.generators.answers.MOST_PIXELS", 10)
    error_of(service(kind, server, tmp_path))
    assert len(Waste(tmp_path, 0)) == 1


def test_nothing_is_asked_for_outside_of_a_run(kind, server):
    with closing(generator_class(kind)(32, "cpu", **address(kind, server))) as made:
        assert "only within a run" in error_of(made)
    assert not server.asked


def test_the_estimate_says_calls_and_cost(kind, server):
    there = address(kind, server)
    service = generator_class(kind)
    told = service.estimate(checked_options(kind, there), 200)
    assert (told.calls, told.cost, told.accepted) == (200, None, 1000)
    assert told.service == server.url.removeprefix("http://")
    priced = checked_options(kind, {**there, "price": 0.02})
    assert service.estimate(priced, 200).cost == pytest.approx(4.0)
