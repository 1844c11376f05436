"""HTTP to services that are not trusted: bounded answers, a deadline for each call.

A key is sent with every call, so a call goes to the address that its user chose and nowhere else.
Only what is fetched without a key may be redirected.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from pe_engine.errors import ConfigError, GeneratorError

MOST_BYTES = 48 * 2**20
"""Of one answer, unpacked: a PNG of 3840 x 2160 random pixels in base64 has 34 MB."""

MOST_REDIRECTS = 3
"""Of one request without a key."""

_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


@dataclass
class Call:
    """What is being asked.

    Attributes:
        host: of the service.
        ends: when it must have answered in full, on the clock ``time.monotonic``.
        may_cost: something has been sent that the service has not refused, so that it may charge
            for it, whether or not an answer of use came.
    """

    host: str
    ends: float
    may_cost: bool = False

    def seconds_left(self) -> float:
        """Raises httpx2.ReadTimeout once there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpx2.ReadTimeout("the call has taken too long")
        return left


_call: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def call(address: str, seconds: float) -> Iterator[Call]:
    """Requests that a ``BoundedClient`` sends in here, from this thread, make up one call.

    Args:
        address: of the service.
        seconds: that all of them may take together.
    """
    begun = Call(host_of(address), time.monotonic() + seconds)
    token = _call.set(begun)
    try:
        yield begun
    finally:
        _call.reset(token)


class BoundedClient(httpx2.Client):
    """An HTTP client that is careful within ``call`` and the usual one outside of it.

    Within it a request must be encrypted or go to the service's own host in the local network, is
    redirected at most ``MOST_REDIRECTS`` times, and only to fetch something without a key, and its
    answer is read at once, up to ``MOST_BYTES`` and up to the call's end.
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
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._answer(request, now, how)
            if not answer.has_redirect_location:
                return answer
            if not _is_fetch(request):
                raise GeneratorError(
                    f"{now.host} sends calls on to another address, which is not followed, since "
                    "your key would go there. Give the address itself."
                )
            if answer.next_request is None:
                raise httpx2.RemoteProtocolError("redirected to no address", request=request)
            request = answer.next_request
        raise httpx2.TooManyRedirects("redirected again and again", request=request)

    def _answer(
        self, request: httpx2.Request, now: Call, how: Mapping[str, Any]
    ) -> httpx2.Response:
        """The answer in full, or a redirection."""
        own = request.url.host == now.host and _is_local(now.host)
        if request.url.scheme != "https" and not own:
            raise GeneratorError(
                f"{now.host} names an unencrypted address on {request.url.host} for its image, "
                "which is not opened. Have it send images in its answers, or use https."
            )
        request.extensions["timeout"] = httpx2.Timeout(now.seconds_left()).as_dict()
        before = now.may_cost
        now.may_cost = before or request.method != "GET"
        try:
            answer = super().send(request, **how | {"stream": True, "follow_redirects": False})
        except _UNSENT:
            now.may_cost = before
            raise
        if _is_refusal(answer.status_code):
            now.may_cost = before
        try:
            if answer.has_redirect_location:
                return answer
            body = _body(answer, now)
        finally:
            answer.close()
        kept = [(name, value) for name, value in answer.headers.multi_items() if _still_true(name)]
        return httpx2.Response(answer.status_code, headers=kept, content=body, request=request)


def _is_fetch(request: httpx2.Request) -> bool:
    """Whether it asks for no work and holds nothing secret."""
    secret = ("authorization", "key", "token")
    return request.method == "GET" and not any(s in n for n in request.headers for s in secret)


def _is_refusal(status: int) -> bool:
    """Whether nothing was made. A gateway that lost patience (504) cannot know."""
    return status >= 300 and status != 504


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
        httpx2.URL(address)
    except (ValueError, httpx2.InvalidURL):
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
