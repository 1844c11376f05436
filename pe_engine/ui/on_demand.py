"""What is costly to make for a visitor: made one at a time, kept a while, and a few per visitor."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from pe_engine.ui.identity import Identity

MAX_RESULTS = 12
MAX_OF_ONE = 3
BUSY = "You are taking out too much at once. Wait until one download is done."


class TooMany(Exception):
    """A visitor has as many under way as they may."""


class OnDemand:
    """The newest results of costly work, by key; safe from any thread."""

    def __init__(self, most: int = MAX_RESULTS) -> None:
        self._most = most
        self._results: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What ``make`` gives, made by the first who asks while the others wait."""
        with self._lock:
            if key not in self._results:
                self._results[key] = make()
            self._results.move_to_end(key)
            while len(self._results) > self._most:
                self._results.popitem(last=False)
            return self._results[key]


class Places:
    """How many costly answers each visitor is being given; safe from any thread."""

    def __init__(self, most: int = MAX_OF_ONE) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, who: Identity) -> Iterator[None]:
        """Keep a place.

        Raises:
            TooMany: there is none left for ``who``.
        """
        with self._lock:
            if self._taken[who.owner] >= self._most:
                raise TooMany
            self._taken[who.owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[who.owner] -= 1
                self._taken += Counter()  # forgets those at 0


class Counted(StreamingResponse):
    """A streamed answer that keeps a place until its last piece is sent or its reader has gone."""

    def __init__(self, pieces: Iterator[bytes], places: Places, who: Identity, **more) -> None:
        super().__init__(pieces, **more)
        self._place = places.of(who)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._place:
                await super().__call__(scope, receive, send)
        except TooMany:
            await JSONResponse({"detail": BUSY}, 429)(scope, receive, send)
