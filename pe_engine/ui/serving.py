"""How the application is served: by uvicorn, until Ctrl-C or until something else ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from pe_engine.ui.connections import BehindProxy, PunctualProtocol
from pe_engine.ui.entrance import is_space

MAX_CONNECTIONS = 512  # more are told to come again; an open tab holds one
KEEP_ALIVE_SECONDS = 10
MAX_HEADER_BYTES = 32 * 2**10
SHUTDOWN_SECONDS = 1  # then the streams of open pages are cut
NOT_STARTED = 3
"""Exit code of a server that could not begin, such as at a port that another one has."""


class Server(uvicorn.Server):
    """uvicorn's, which says when it answers."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def serve(app: FastAPI, host: str, port: int, on_start: Callable[[], object]) -> int:
    """Answer at ``host:port`` until Ctrl-C.

    Args:
        on_start: called as soon as it answers; must return at once.

    Returns:
        the exit code: 0, or ``NOT_STARTED``.
    """
    server = _server(app, host, port, on_start)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    except SystemExit:  # uvicorn has said why
        return NOT_STARTED
    return 0 if server.started else NOT_STARTED


@contextmanager
def serving(app: FastAPI, host: str, port: int) -> Iterator[bool]:
    """Answer at ``host:port`` in a thread of this process while the block lasts.

    Yields:
        whether it could begin.
    """
    settled = threading.Event()
    server = _server(app, host, port, settled.set)

    def run() -> None:
        try:
            server.run()
        except SystemExit:  # uvicorn has said why
            pass
        finally:
            settled.set()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        settled.wait()
        yield server.started
    finally:
        server.should_exit = True
        thread.join()


def _server(app: FastAPI, host: str, port: int, on_start: Callable[[], object]) -> Server:
    news = logging.getLogger("uvicorn.error")
    news.addFilter(_is_news)
    config = uvicorn.Config(app, host=host, port=port, **server_settings(os.environ))
    return Server(config, on_start)


def server_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """uvicorn's. Who asks is read from a proxy's headers only where ``FORWARDED_ALLOW_IPS`` names
    the proxy: anybody else could write there what they like."""
    proxy = bool(environment.get("FORWARDED_ALLOW_IPS"))
    return {
        "http": BehindProxy if proxy or is_space(environment) else PunctualProtocol,
        "ws": "none",
        "proxy_headers": proxy,
        "server_header": False,
        "h11_max_incomplete_event_size": MAX_HEADER_BYTES,
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "log_level": "warning",
        "access_log": False,  # addresses hold run ids
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
    }


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log line tells more than that open pages were cut off at the end."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "graceful" not in str(record.msg)
