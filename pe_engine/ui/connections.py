"""Connections that nobody may keep: such as no request comes by, and more than one needs."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from pe_engine.ui.accounts import network

HEADER_SECONDS = 20
"""So long may a connection be open without a request that is being answered."""

MAX_OF_ONE_PEER = 64


class PunctualProtocol(H11Protocol):
    """uvicorn's protocol with a bound on how long the headers of a request may take.

    uvicorn itself bounds only the silence after an answer, and any byte puts that off. It also
    bounds all connections only, so that one peer could take them all.
    """

    most_of_one: int | None = MAX_OF_ONE_PEER
    _until: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._is_one_too_many():
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _is_one_too_many(self) -> bool:
        if self.most_of_one is None or self.client is None:
            return False
        peer = network(self.client[0])
        peers = [network(other.client[0]) for other in self.connections if other.client]
        return peers.count(peer) > self.most_of_one

    def _watch(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.is_closing():
            self._forget()
        elif self._until is None:
            self._until = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _forget(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None


class BehindProxy(PunctualProtocol):
    """Where all connections are a proxy's, which bounds its own peers."""

    most_of_one = None
