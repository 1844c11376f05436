"""The key stays where it belongs, and a server that means harm does none."""

import gzip
import json
import logging
import traceback

import numpy as np
import pytest

from pe_engine.components import checked_options, fitting_size
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import wire
from pe_engine.generators.base import PIXELS
from tests.generators.image_server import (
    KEY,
    KINDS,
    ImageServer,
    Reply,
    draw,
    error_of,
)

pytestmark = [pytest.mark.parametrize("kind", KINDS), pytest.mark.usefixtures("customer")]


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


# Servers that mean harm ---------------------------------------------------------------------------


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
    monkeypatch.setattr("pe_engine.generators.answers.MOST_PIXELS", 64 * 63)
    said = error_of(service(kind, server, tmp_path))
    assert "64 x 64 pixels, more than the 4,032 allowed" in said
    assert len(server.asked) == 1  # another one would be as large


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
        ("https://example.org/a\x07b", "is no web address"),
        ("https://me:secret@example.org/v1", "Leave out user names"),
        ("https://secret@example.org/v1", "Leave out user names"),
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
