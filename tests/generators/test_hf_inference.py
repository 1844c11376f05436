"""What is said to Hugging Face Inference and its providers, over real HTTP."""

import base64
import io
import json
import struct
import warnings
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from pe_engine.components import checked_options, fitting_size
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import hf_inference, wire
from pe_engine.generators.base import PIXELS
from tests.generators.image_server import KEY, ImageServer, Reply, draw, error_of, picture
from tests.generators.runs import estimate

pytestmark = pytest.mark.usefixtures("customer")
KIND = "hf_inference"


def rng():
    return np.random.default_rng(1)


def test_new_images_and_variations_as_an_endpoint_takes_them(server, tmp_path, service):
    made = service(
        KIND, server, tmp_path, size=None, variation_endpoint=f"{server.url}/varied", steps=4,
        guidance=1.5, negative_prompt="text",
    )  # fmt: skip
    state = draw(made, 1)
    made.vary(state, 0.37, rng())
    new, variation = server.asked
    assert (new.path, variation.path) == ("/hf", "/varied")
    usual = {"negative_prompt": "text", "num_inference_steps": 4, "guidance_scale": 1.5}
    seed = new.fields["parameters"].pop("seed")
    assert 0 <= seed < 2**31
    assert new.fields == {"inputs": "a cat", "parameters": {**usual, "width": 512, "height": 512}}
    parameters = variation.fields["parameters"]
    assert parameters.pop("seed") != seed
    assert parameters == {**usual, "prompt": "a cat", "strength": 0.37}
    with Image.open(io.BytesIO(variation.image)) as sent:
        assert sent.size == (512, 512)  # services make an image of their input's size


def test_one_endpoint_may_do_both(server, tmp_path, service):
    made = service(KIND, server, tmp_path)
    made.vary(draw(made, 1), 1.0, rng())
    assert [asked.path for asked in server.asked] == ["/hf", "/hf"]
    assert server.asked[1].fields["parameters"]["strength"] == 1.0


@pytest.fixture
def hub(server, monkeypatch):
    """Has the hub and its router stand on the local server, with a model of ``provider``."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = f"{server.url}/router/{{provider}}"
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", template)
    monkeypatch.setattr(hf_inference, "ROUTER", server.url)
    monkeypatch.setenv("HF_TOKEN", f"hf_{KEY}")
    monkeypatch.setattr("tests.generators.image_server.KEY", f"hf_{KEY}")

    def offer(model, provider, task="text-to-image"):
        told = {"status": "live", "providerId": f"their/{model}", "task": task}
        server.model_card = {"id": model, "inferenceProviderMapping": {provider: told}}
        return {"endpoint": "", "model": model, "provider": provider}

    return offer


def test_a_provider_that_answers_with_base64(hub, server, tmp_path, service):
    def together(asked):
        if asked.key is None:
            return None
        data = base64.b64encode(picture(asked.fields)).decode()
        return Reply(body=json.dumps({"data": [{"b64_json": data}]}).encode())

    options = hub("owner/one", "together")
    server.special = together
    made = service(KIND, server, tmp_path, **options)
    assert draw(made, 2)[PIXELS].shape == (2, 32, 32, 3)
    asked = [asked for asked in server.asked if asked.key]
    assert {one.path for one in asked} == {"/router/together/v1/images/generations"}
    assert asked[0].fields["model"] == "their/owner/one"


def test_what_a_provider_puts_elsewhere_is_fetched_with_a_bound(
    hub, server, tmp_path, service, monkeypatch
):
    def replicate(asked):
        if asked.key is None:
            return None
        return Reply(body=json.dumps({"output": f"{server.url}/picture.png"}).encode())

    options = hub("owner/two", "replicate")
    server.special = replicate
    made = service(KIND, server, tmp_path, **options)
    draw(made, 1)
    fetched = [asked for asked in server.asked if asked.path == "/picture.png"]
    assert [asked.fields for asked in fetched] == [{"authorization": None}]
    monkeypatch.setattr(wire, "MOST_BYTES", 100)
    with pytest.raises(GeneratorError, match="more than 0 MiB"):
        made.random([""], ["a dog"], rng())


def test_an_address_that_is_none_is_asked_for_again(hub, server, tmp_path, service):
    options = hub("owner/six", "replicate")
    server.special = lambda asked: Reply(body=b'{"output": "http://[::1"}') if asked.key else None
    said = error_of(service(KIND, server, tmp_path, attempts=2, **options))
    assert "gave no image in 2 attempts, the last time because its image could not be" in said


def png_of(width, height):
    """A PNG of that size by its header, and next to nothing behind it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 30_000])  # Pillow warns, refuses
@pytest.mark.parametrize("strict", [True, False])
def test_a_huge_image_is_said_at_once(side, strict, server, tmp_path, service):
    server.special = lambda asked: Reply(body=png_of(side, side), kind="image/png")
    made = service(KIND, server, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if strict else "ignore")
        said = error_of(made)
    assert "An image that the service made has" in said
    assert "pixels" in said
    assert len(server.asked) == 1


def test_a_model_that_the_provider_does_not_run_is_said(hub, server, tmp_path, service):
    made = service(
        KIND, server, tmp_path, **hub("owner/three", "replicate") | {"provider": "together"}
    )
    said = error_of(made)
    assert "Model owner/three is not supported by provider together" in said
    assert not [asked for asked in server.asked if asked.key]


def test_outside_of_calls_the_hubs_client_is_the_usual_one(server, tmp_path, service):
    from huggingface_hub import get_session

    service(KIND, server, tmp_path)
    service(KIND, server, tmp_path)
    session = get_session()
    assert isinstance(session, wire.BoundedClient)
    assert session.follow_redirects
    assert session.timeout.read is None
    server.special = lambda asked: (
        Reply(307, headers={"Location": f"{server.url}/there"}) if asked.path == "/x" else None
    )
    assert session.get(f"{server.url}/x").status_code == 200
    secret = {"Authorization": f"Bearer {KEY}"}
    with wire.call(server.url, 5):
        assert session.get(f"{server.url}/x").status_code == 200
        with pytest.raises(GeneratorError, match="another address"):
            session.get(f"{server.url}/x", headers=secret)


def test_a_call_forbidden_by_the_hubs_own_switch_is_said(server, tmp_path, service, monkeypatch):
    made = service(KIND, server, tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "Unset it" in error_of(made)
    assert not server.asked


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "/etc/passwd"}, "no Hugging Face id"),
        ({"model": "https://example.org"}, "no Hugging Face id"),
        ({"variation_model": ""}, "no Hugging Face id"),
        ({"provider": "me"}, "must be one of auto, fal-ai"),
        ({"variation_endpoint": "https://example.org"}, "without endpoint"),
        ({"size": 32}, "must lie from 64 to 2048"),
    ],
)
def test_options_that_cannot_be(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        checked_options(KIND, options)


def test_the_image_size_is_at_most_what_is_asked_for():
    assert fitting_size(KIND, {}, None) == 256
    assert fitting_size(KIND, {"size": 128}, None) == 128
    assert fitting_size(KIND, {}, 1000) == 1000
    assert checked_options(KIND, {}).asked_size(1000) == 1008
    with pytest.raises(ConfigError, match="image size is 129, but images of 128 pixels"):
        fitting_size(KIND, {"size": 128}, 129)


def test_an_endpoint_needs_no_token(monkeypatch, tmp_path, service):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    assert fitting_size(KIND, {"endpoint": "http://localhost/hf"}, 64) == 64
    with ImageServer() as server:
        assert "does not accept your key. Check HF_TOKEN" in error_of(
            service(KIND, server, tmp_path)
        )


def test_the_estimate_names_the_router():
    told = estimate(KIND, {"price": 0.003, "most_calls": 7}, 1000)
    assert (told.service, told.accepted) == ("router.huggingface.co", 7)
    assert told.cost == pytest.approx(3.0)
