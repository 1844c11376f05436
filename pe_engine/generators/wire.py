"""HTTP to services that are not trusted: bounded answers, a deadline for each call, no redirects.

A key is sent with every call, so a call goes to the address that its user chose and nowhere else.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from pe_engine.errors import ConfigError, GeneratorError

MOST_BYTES = 48 * 2**20
"""Of one answer, unpacked: a PNG of 3840 x 2160 random pixels in base64 has 34 MB."""


@dataclass(frozen=True)
class Call:
    """What is being asked.

    Attributes:
        host: of the service.
        ends: when it must have answered in full, on the clock ``time.monotonic``.
    """

    host: str
    ends: float

    def seconds_left(self) -> float:
        """Raises httpx2.ReadTimeout once there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpx2.ReadTimeout("the call has taken too long")
        return left


_call: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def call(address: str, seconds: float) -> Iterator[None]:
    """Requests that a ``BoundedClient`` sends in here, from this thread, make up one call.

    Args:
        address: of the service.
        seconds: that all of them may take together.
    """
    token = _call.set(Call(host_of(address), time.monotonic() + seconds))
    try:
        yield
    finally:
        _call.reset(token)


class BoundedClient(httpx2.Client):
    """An HTTP client that is careful within ``call`` and the usual one outside of it.

    Within it a request must be encrypted or go to the service's own host, is not redirected, and
    its answer is read at once, up to ``MOST_BYTES`` and up to the call's end.
    """

    def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
        """See ``httpx2.Client.send``.

        Raises:
            GeneratorError: the answer is too large, or leads elsewhere.
            httpx2.TransportError: there was none, or half of it, or it took too long.
        """
        now = _call.get()
        if now is None:
            return super().send(request, stream=stream, **how)
        if request.url.scheme != "https" and request.url.host != now.host:
            raise GeneratorError(
                f"{now.host} names an unencrypted address on {request.url.host} for its image, "
                "which is not opened. Have it send images in its answers, or use https."
            )
        request.extensions["timeout"] = httpx2.Timeout(now.seconds_left()).as_dict()
        answer = super().send(request, **how | {"stream": True, "follow_redirects": False})
        try:
            if answer.has_redirect_location:
                raise GeneratorError(
                    f"{now.host} sends calls on to another address, which is not followed, since "
                    "your key would go there. Give the address itself."
                )
            body = _body(answer, now)
        finally:
            answer.close()
        kept = [(name, value) for name, value in answer.headers.multi_items() if _still_true(name)]
        return httpx2.Response(answer.status_code, headers=kept, content=body, request=request)


def _body(answer: httpx2.Response, now: Call) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise GeneratorError(
                f"{now.host} gave an answer of more than {MOST_BYTES / 2**20:.0f} MiB, which is no "
                "single image. Check the address, or ask for smaller images."
            )
        now.seconds_left()
    return bytes(body)


def _still_true(header: str) -> bool:
    """Whether it holds for a body that has been received and unpacked."""
    return header.lower() not in ("content-encoding", "content-length", "transfer-encoding")


def host_of(address: str) -> str:
    return urlsplit(address).hostname or ""


def service_of(address: str) -> str:
    """The name of a service for people: its host, and its port if it is an unusual one."""
    return urlsplit(address).netloc


def check_address(name: str, address: str) -> None:
    """Raises ConfigError unless a key may be sent to the option's address.

    It must be encrypted unless it lies in the local network, and hold no password, since options
    are stored with the run.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(
            f"The option {name} is no web address. Give one such as https://example.org/v1."
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"The option {name} holds more than an address. Leave out user names, passwords and "
            "all from ? or # on: options are stored with the run."
        )
    if parts.scheme == "http" and not _is_local(host):
        raise ConfigError(
            f"The option {name} is {address!r}, where your key would travel unencrypted. Use https."
        )


def check_key(name: str, key: str) -> None:
    """Raises GeneratorError, without the key, if it cannot stand in a header."""
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise GeneratorError(f"The key in {name} has characters that no key has. Copy it anew.")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(".local")
