"""What is said to OpenAI's Images API, over real HTTP."""

import base64
import json

import numpy as np
import pytest

from pe_engine.components import checked_options, fitting_size, generator_class
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import wire
from pe_engine.generators.base import PIXELS
from pe_engine.generators.openai_images import CHANGES
from tests.generators.image_server import KEY, ImageServer, Reply, draw, error_of, picture
from tests.generators.runs import estimate

pytestmark = pytest.mark.usefixtures("customer")
KIND = "openai_images"


def rng():
    return np.random.default_rng(1)


def varied(made, degree=0.5):
    state = draw(made, 1)
    return made.vary(state, degree, rng())


def test_gpt_image_is_told_its_quality_and_edits_by_words(server, tmp_path, service):
    made = service(KIND, server, tmp_path, model="gpt-image-1-mini", size=None)
    varied(made, 0.5)
    new, edit = server.asked
    assert new.path == "/v1/images/generations"
    usual = {"model": "gpt-image-1-mini", "size": "1024x1024", "quality": "low"}
    assert new.fields == {**usual, "n": 1, "prompt": "a cat"}
    assert edit.path == "/v1/images/edits"
    words = edit.fields.pop("prompt")
    assert edit.fields == {**usual, "n": "1"}
    assert "It shows: a cat." in words
    assert words.endswith(CHANGES[2][1])
    assert edit.image.startswith(b"\x89PNG")


def test_other_models_are_asked_for_base64(server, tmp_path, service):
    varied(service(KIND, server, tmp_path))
    assert {asked.fields["response_format"] for asked in server.asked} == {"b64_json"}
    assert not any("quality" in asked.fields for asked in server.asked)


def test_more_degree_allows_more_in_words(server, tmp_path, service):
    made = service(KIND, server, tmp_path, edit_prompt="{degree}|{prompt}|{0}")
    degrees = (0.01, 0.15, 0.16, 0.5, 0.7, 1.0)
    said = [made.variation("a {degree}", degree)["prompt"] for degree in degrees]
    steps = [0, 0, 1, 2, 3, 4]
    assert said == [f"{CHANGES[step][1]}|a {{degree}}|{{0}}" for step in steps]


def test_dall_e_2_varies_by_its_endpoint_without_words(server, tmp_path, service):
    made = service(KIND, server, tmp_path, model="dall-e-2", size=None)
    varied(made)
    new, variation = server.asked
    assert new.fields["size"] == "256x256"
    assert variation.path == "/v1/images/variations"
    expected = {"model": "dall-e-2", "size": "256x256", "n": "1", "response_format": "b64_json"}
    assert variation.fields == expected
    assert made.variation("a cat", 0.1) == made.variation("a dog", 0.9)
    edits = service(KIND, server, tmp_path, model="dall-e-2", size=None, variation_by="edit")
    assert edits.variation("a cat", 0.1)["address"].endswith("/images/edits")


def test_an_image_that_is_put_elsewhere_is_fetched_without_the_key(server, tmp_path, service):
    def by_url(asked):
        place = {"url": f"{server.url}/picture.png"}
        return Reply(body=json.dumps({"data": [place]}).encode()) if asked.key else None

    server.special = by_url
    draw(service(KIND, server, tmp_path), 1)
    assert [asked.path for asked in server.asked] == ["/v1/images/generations", "/picture.png"]
    assert server.asked[1].fields == {"authorization": None}
    assert KEY not in server.asked[1].path


def led_on(server, there, times=1):
    """Answers name an address from which one is led on, in the end to ``there``."""

    def reply(asked):
        if asked.key:
            place = {"url": f"{server.url}/moved/1"}
            return Reply(body=json.dumps({"data": [place]}).encode())
        if not asked.path.startswith("/moved/"):
            return None
        step = int(asked.path.rpartition("/")[2])
        return Reply(302, headers={"Location": there if step == times else f"/moved/{step + 1}"})

    server.special = reply


def test_an_image_may_have_moved(server, tmp_path, service):
    with ImageServer() as store:
        led_on(server, f"{store.url}/picture.png", times=3)
        draw(service(KIND, server, tmp_path), 1)
        assert [asked.path for asked in server.asked[1:]] == [f"/moved/{i}" for i in (1, 2, 3)]
        assert [(a.path, a.fields) for a in store.asked] == [
            ("/picture.png", {"authorization": None})
        ]


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        ("http://8.8.8.8/x.png", "names an unencrypted address on 8.8.8.8"),
        ("file:///etc/passwd", "its image could not be fetched"),
        ("https://127.0.0.1:1/x.png", "its image could not be fetched"),
        ("https://a:x/", "its image could not be fetched"),
    ],
)
def test_an_image_that_has_moved_is_fetched_from_sound_places_only(
    there, sentence, server, tmp_path, service
):
    led_on(server, there)
    assert sentence in error_of(service(KIND, server, tmp_path, attempts=1))


def test_an_image_that_moves_on_and_on_is_not_followed(server, tmp_path, service):
    led_on(server, "/picture.png", times=4)
    said = error_of(service(KIND, server, tmp_path, attempts=1))
    assert "its image could not be fetched" in said
    assert len(server.asked) == 1 + 4


def test_an_unencrypted_address_is_opened_in_the_local_network_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    refused = pytest.raises(GeneratorError, match="unencrypted address on example")
    with wire.BoundedClient() as client, wire.call("https://example.org/v1", 5), refused:
        client.get("http://example.org/x.png")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://8.8.8.8/x.png", "names an unencrypted address on 8.8.8.8"),
        ("file:///etc/passwd", "names an unencrypted address"),
        ("https://127.0.0.1:1/x.png", "its image could not be fetched"),
        ("https://[", "its image could not be fetched"),
        (7, "it answered without an image"),
    ],
)
def test_images_are_fetched_from_sound_places_only(url, sentence, server, tmp_path, service):
    body = json.dumps({"data": [{"url": url}]}).encode()
    server.special = lambda asked: Reply(body=body)
    assert sentence in error_of(service(KIND, server, tmp_path, attempts=1))


def test_a_fetched_image_that_fails_is_asked_for_again(server, tmp_path, service):
    body = json.dumps({"data": [{"url": f"{server.url}/x.png"}]}).encode()
    server.special = lambda asked: Reply(body=body) if asked.key else Reply(404)
    said = error_of(service(KIND, server, tmp_path, attempts=2))
    assert "its image could not be fetched" in said
    assert len(server.asked) == 4


def test_the_answer_becomes_an_image_of_the_image_size(server, tmp_path, service):
    """The whole short side is kept and the centre of the long one."""
    wide = np.zeros((64, 96, 3), np.uint8)
    wide[:, 16:80] = 255
    from tests.conftest import png

    answer = {"data": [{"b64_json": base64.b64encode(png(wide)).decode()}]}
    server.special = lambda asked: Reply(body=json.dumps(answer).encode())
    assert draw(service(KIND, server, tmp_path, size="96x64"), 1)[PIXELS].min() > 200


def test_calls_go_where_the_option_says(server, tmp_path, service, monkeypatch):
    with ImageServer() as other:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{other.url}/v1")
        draw(service(KIND, server, tmp_path), 1)
        assert (len(server.asked), len(other.asked)) == (1, 0)
    made = generator_class(KIND)(64, "cpu")
    assert made.service == "api.openai.com"
    assert str(made._client.base_url) == "https://api.openai.com/v1/"
    made.close()


# Sizes, models, prices --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "image_size", "asked"),
    [
        ("gpt-image-1.5", 64, "1024x1024"),
        ("chatgpt-image-latest", 1024, "1024x1024"),
        ("gpt-image-2", 64, "816x816"),
        ("gpt-image-2.5-flare-2026-09-08", 817, "832x832"),
        ("gpt-image-2.6-flare", 64, "1024x1024"),
        ("dall-e-2", 256, "256x256"),
        ("dall-e-2", 257, "512x512"),
        ("local", 28, "256x256"),
        ("local", 2000, "2000x2000"),
    ],
)
def test_the_smallest_size_that_is_enough_is_asked_for(model, image_size, asked, tmp_path):
    made = generator_class(KIND)(image_size, "cpu", base_url="http://localhost/v1", model=model)
    assert made.new("a cat")["size"] == asked
    made.close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": "1024"}, "must be like 1024x1024"),
        ({"size": "0x64"}, "must be like 1024x1024"),
        ({"model": "gpt-image-1.5", "size": "512x512"}, "makes 1024x1024, 1536x1024"),
        ({"model": "gpt-image-2", "size": "512x512"}, "655,360 to 8,294,400 pixels"),
        ({"model": "gpt-image-2", "size": "1024x1000"}, "multiples of 16"),
        ({"model": "gpt-image-2", "size": "3840x1024"}, "3 times as long"),
        ({"model": "gpt-image-2", "size": "4096x2048"}, "at most 3840"),
        ({"model": "gpt-image-2", "size": "3840x3840"}, "655,360 to 8,294,400 pixels"),
        ({"model": " "}, "option model is empty"),
        ({"model": "dall-e-2"}, "OpenAI has retired dall-e-2"),
        ({"model": "gpt-image-1"}, "OpenAI has retired gpt-image-1"),
        ({"variation_by": "variations"}, "retired its variations endpoint"),
        ({"quality": "best"}, "must be one of low, medium"),
        ({"concurrency": 0}, "must lie from 1 to 32"),
        ({"price": -1.0}, "must lie from 0 to 1000"),
    ],
)
def test_options_that_cannot_be(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        checked_options(KIND, options)


def test_the_image_size_is_at_most_what_is_asked_for():
    assert fitting_size(KIND, {}, None) == 256
    assert fitting_size(KIND, {"model": "gpt-image-1.5", "size": "1536x1024"}, 1024) == 1024
    with pytest.raises(ConfigError, match="image size is 1025, but images of 1536x1024"):
        fitting_size(KIND, {"model": "gpt-image-1.5", "size": "1536x1024"}, 1025)
    with pytest.raises(ConfigError, match="squares of at most 1024 pixels"):
        fitting_size(KIND, {"model": "gpt-image-1.5"}, 1025)
    assert fitting_size(KIND, {}, 2880) == 2880
    with pytest.raises(ConfigError, match="squares of at most 2880 pixels"):
        fitting_size(KIND, {}, 2881)


@pytest.mark.parametrize(
    ("options", "price"),
    [
        ({"model": "gpt-image-1-mini"}, 0.005),
        ({"model": "gpt-image-1-mini", "quality": "high", "size": "1024x1536"}, 0.052),
        ({"model": "gpt-image-1.5", "quality": "medium"}, 0.034),
        ({"model": "gpt-image-1.5", "quality": "xhigh"}, None),
        ({"model": "gpt-image-1.5", "base_url": "https://example.org/v1"}, None),
        ({"model": "gpt-image-2.5-flare"}, None),
    ],
)
def test_list_prices_are_known_at_openai_alone(options, price):
    cost = estimate(KIND, options, 1000).cost
    assert cost == (None if price is None else pytest.approx(1000 * price))


def test_a_server_of_pictures_draws_what_is_asked(server, tmp_path, service):
    """The tests' own server gives another picture to another prompt."""
    fields = {"prompt": "a cat", "size": "64x64"}
    assert picture(fields) == picture(dict(fields))
    assert picture(fields) != picture({**fields, "prompt": "a dog"})
