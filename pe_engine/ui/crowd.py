"""How many of the page's events each identity has at once, so that nobody takes all places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from pe_engine.ui.identity import Identity, who_asks

if TYPE_CHECKING:
    import gradio as gr

MAX_EVENTS_OF_ONE = 48
"""Waiting or being answered; a tab that shows a run is one, and ``viewers.MAX_TABS`` may."""


MAX_REQUESTS_OF_ONE = 128
"""Being answered, among them the streams that tell tabs what happens."""


class TooMany(Exception):
    """An identity has as many events or requests as it may."""


class Crowd:
    """The requests being answered, and the events in pages' queues or on their way there."""

    def __init__(self, *pages: gr.Blocks) -> None:
        self._pages = pages
        self._coming: Counter[str] = Counter()
        self._asking: Counter[str] = Counter()

    @contextmanager
    def request_of(self, who: Identity) -> Iterator[None]:
        """Count a request while it is being answered.

        Raises:
            TooMany: of ``who``; strangers are not told apart and not counted.
        """
        if who.owner and self._asking[who.owner] >= MAX_REQUESTS_OF_ONE:
            raise TooMany
        with _counted(self._asking, who):
            yield

    @contextmanager
    def place_for(self, who: Identity) -> Iterator[None]:
        """Keep a place while an event is put into the queue.

        Raises:
            TooMany: there is none left for ``who``.
        """
        if self._coming[who.owner] + self._queued(who) >= MAX_EVENTS_OF_ONE:
            raise TooMany
        with _counted(self._coming, who):
            yield

    def _queued(self, who: Identity) -> int:
        queues = [page._queue for page in self._pages]  # Gradio has no other way to ask
        kinds = [kind for q in queues for kind in q.event_queue_per_concurrency_id.values()]
        answered = [job for queue in queues for job in queue.active_jobs if job]
        events = chain.from_iterable((*(kind.queue for kind in kinds), *answered))
        return sum(who_asks(event.request).owner == who.owner for event in events)


@contextmanager
def _counted(counter: Counter[str], who: Identity) -> Iterator[None]:
    counter[who.owner] += 1
    try:
        yield
    finally:
        counter[who.owner] -= 1
        if not counter[who.owner]:
            del counter[who.owner]
