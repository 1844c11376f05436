"""Gradio objects for tests that have no event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Made = TypeVar("Made")


def in_event_loop(make: Callable[[], Made]) -> Made:
    """What ``make`` returns, called within an event loop.

    Without one, Gradio makes loops that it never closes. In a thread of its own, because the
    browser's driver may keep a loop running in this one.
    """

    async def build() -> Made:
        return make()

    return awaited(build())


def awaited(coroutine: Coroutine[Any, Any, Made]) -> Made:
    """What a coroutine returns; also where this thread has a loop, as with a browser's driver."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
