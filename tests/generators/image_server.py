"""A local service that speaks the protocols of OpenAI's Images API and of Hugging Face Inference.

It checks the key, draws a picture that follows from what is asked, keeps count of calls and of what
it would charge for, and fails on demand in every way that real services do.
"""

from __future__ import annotations

import base64
import email
import hashlib
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pe_engine.errors import GeneratorError

KINDS = ("openai_images", "hf_inference")
KEY = "sk-a-secret-of-the-user-0123456789"
FAULTS = ("429", "500", "503", "hang", "cut", "no json", "no image", "half an image")
MOST_FAULTS = 4  # of one call, so that a run with eight attempts always comes through


@dataclass(frozen=True)
class Asked:
    """A request. ``image`` is that of a variation, PNG."""

    path: str
    key: str | None
    fields: dict[str, object]
    image: bytes | None
    number: int
    """How often this key has been asked before."""


@dataclass(frozen=True)
class Reply:
    """``promised`` bytes are announced, if more than there are: the connection is cut then.
    ``drip`` seconds pass between any two bytes."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    promised: int | None = None
    drip: float = 0.0


def address(kind: str, server: ImageServer) -> dict[str, Any]:
    """Options that lead to the server, with 1,000 calls agreed to."""
    there = {
        "openai_images": {"base_url": f"{server.url}/v1", "model": "local", "size": "64x64"},
        "hf_inference": {"endpoint": f"{server.url}/hf", "size": 64},
    }
    return {"most_calls": 1000, **there[kind]}


def draw(generator: Any, n: int = 4) -> dict[str, np.ndarray]:
    """States of n cats, always the same."""
    return generator.random([""] * n, ["a cat"] * n, np.random.default_rng(0))


def error_of(generator: Any, n: int = 1) -> str:
    """What the user reads when n images cannot be had."""
    with pytest.raises(GeneratorError) as caught:
        draw(generator, n)
    return str(caught.value)


class ImageServer:
    """Use it as a context: it listens on 127.0.0.1 at ``url``.

    Attributes:
        faults: part of the calls that fail.
        special: asked for a reply to each request; None for the usual one.
        pause: seconds that each picture takes.
        asked: all requests that came with the right key.
        answered: how often each idempotency key got its whole picture.
        most_at_once: requests that were under way together.
    """

    def __init__(self, faults: float = 0.0, pause: float = 0.0, hang: float = 1.0) -> None:
        self.faults, self.pause, self.hang = faults, pause, hang
        self.special: Callable[[Asked], Reply | None] = lambda asked: None
        self.asked: list[Asked] = []
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.model_card: dict[str, object] = {}
        self.strangers = 0
        self.most_at_once = self._under_way = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def __enter__(self) -> ImageServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.serve(self)

            def do_GET(self) -> None:
                server.give(self)

            def handle(self) -> None:
                with suppress(ConnectionResetError):  # a client that was killed
                    super().handle()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    # ----------------------------------------------------------------------------------------------

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            body = handler.rfile.read(int(handler.headers["Content-Length"]))
            self._send(handler, *self._reply(handler, body))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has given up
        finally:
            with self._lock:
                self._under_way -= 1

    def give(self, handler: BaseHTTPRequestHandler) -> None:
        """A picture that an answer has named, or what the hub says of a model."""
        asked = Asked(
            handler.path, None, {"authorization": handler.headers["Authorization"]}, None, 0
        )
        self.asked.append(asked)
        reply = self.special(asked)
        if reply is None and handler.path.startswith("/api/models/"):
            reply = Reply(body=json.dumps(self.model_card).encode())
        self._send(handler, reply or Reply(body=picture({"url": handler.path}), kind="image/png"))

    def _reply(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[Reply, str | None]:
        """The answer, and the idempotency key if it is a whole picture."""
        if handler.headers["Authorization"] != f"Bearer {KEY}":
            self.strangers += 1
            said = {"error": {"message": f"Wrong key {handler.headers['Authorization']}"}}
            return Reply(401, json.dumps(said).encode()), None
        fields, image = _parsed(handler.headers["Content-Type"], body)
        key = handler.headers["Idempotency-Key"]
        with self._lock:
            number = sum(earlier.key == key for earlier in self.asked)
            asked = Asked(handler.path, key, fields, image, number)
            self.asked.append(asked)
        reply = self.special(asked) or self._fault(asked)
        if reply is not None:
            return reply, None
        time.sleep(self.pause)
        return self._drawn(asked), key

    def _fault(self, asked: Asked) -> Reply | None:
        dice = random.Random(f"{asked.key} {asked.number}")
        if dice.random() >= self.faults or asked.number >= MOST_FAULTS:
            return None
        fault = dice.choice(FAULTS)
        with self._lock:
            self.failed[fault] += 1
        whole = self._drawn(asked)
        if fault == "hang":
            self._closing.wait(self.hang)
            return Reply(504)
        return {
            "429": Reply(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "0"}),
            "500": Reply(500, b"{}", {"Retry-After-Ms": "10"}),
            "503": Reply(503, b"<html>", {"Retry-After": "0"}, "text/html"),
            "cut": Reply(200, whole.body[: len(whole.body) // 2], {}, whole.kind, len(whole.body)),
            "no json": Reply(200, whole.body[: len(whole.body) // 2]),
            "no image": Reply(200, b'{"created": 1, "data": []}'),
            "half an image": self._drawn(asked, half=True),
        }[fault]

    def _drawn(self, asked: Asked, half: bool = False) -> Reply:
        data = picture(asked.fields, asked.image)
        data = data[: len(data) // 2] if half else data
        if asked.path.startswith("/v1/"):
            said = {"created": 1, "data": [{"b64_json": base64.b64encode(data).decode()}]}
            return Reply(body=json.dumps(said).encode())
        return Reply(body=data, kind="image/png")

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply, key: str | None = None) -> None:
        handler.send_response(reply.status)
        handler.send_header("Content-Type", reply.kind)
        handler.send_header("Content-Length", str(reply.promised or len(reply.body)))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        step = 1 if reply.drip else max(1, len(reply.body))
        for start in range(0, len(reply.body), step):
            handler.wfile.write(reply.body[start : start + step])
            handler.wfile.flush()
            self._closing.wait(reply.drip)
        if reply.promised:
            handler.close_connection = True
        if key is not None:
            with self._lock:
                self.answered[key] += 1


def picture(fields: dict[str, object], parent: bytes | None = None) -> bytes:
    """A PNG that follows from what was asked for, of the size that was."""
    inner = fields.get("parameters") if isinstance(fields.get("parameters"), dict) else fields
    width, height = map(int, str(fields.get("size", "64x64")).split("x"))
    width, height = int(inner.get("width", width)), int(inner.get("height", height))
    said = json.dumps(fields, sort_keys=True).encode() + (parent or b"")
    rng = np.random.default_rng(list(hashlib.sha256(said).digest()))
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    buffer = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def _parsed(kind: str, body: bytes) -> tuple[dict[str, object], bytes | None]:
    """The fields of JSON or of a form, and the image in them."""
    if kind.startswith("application/json"):
        fields = json.loads(body)
        if "strength" in fields.get("parameters", {}):
            return fields, base64.b64decode(fields["inputs"])
        return fields, None
    form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = {p.get_param("name", header="content-disposition"): p for p in form.get_payload()}
    image = parts.pop("image").get_payload(decode=True)
    return {name: part.get_payload() for name, part in parts.items()}, image
