"""A real server in this process, and browsers that speak to it without a screen."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from chromium import free_port
from fastapi import FastAPI

CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});</script>", re.DOTALL)


@contextmanager
def serving(app: FastAPI, **settings: Any) -> Iterator[str]:
    """The address at which ``app`` answers; ``settings`` are uvicorn's."""
    port = free_port()
    given = {"log_level": "error", "ws": "none", "timeout_graceful_shutdown": 1} | settings
    config = uvicorn.Config(app, port=port, **given)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Visitor:
    """One browser: its cookies and what it knows of the page.

    ``entry``: where on the server it opens the page first, such as the owner's address.
    """

    address: str
    account: tuple[str, str] | None = None
    entry: str = "/"
    session: str = "a session"
    http: httpx.Client = field(init=False)
    page: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.address, follow_redirects=True, timeout=60)
        if self.account:
            name, password = self.account
            self.http.post("/login", data={"name": name, "password": password})
        self.page = json.loads(CONFIG.search(self.http.get(self.entry).text)[1])

    def events(self) -> dict[str, dict[str, Any]]:
        """The page's events that the server answers, by the function that does it."""
        known: dict[str, dict[str, Any]] = {}
        for event in self.page["dependencies"]:
            if event["backend_fn"]:
                assert event["api_name"] not in known
                known[event["api_name"]] = event
        return known

    def send(
        self,
        event: dict[str, Any],
        *,
        source: Any = None,
        event_data: Any = None,
        run: str = "",
        values: dict[str, Any] | None = None,
        **extra: Any,
    ) -> httpx.Response:
        """Post an event.

        Args:
            source: the drop zone's value.
            values: of fields by their label; the others as the page has them.
            extra: more of the JSON that is sent.
        """
        values = {} if values is None else values
        data = []
        for number in event["inputs"]:
            part = self._part(number)
            value = values.get(part.get("label"), part.get("value"))
            data.append(source if part.get("elem_id") == "source" else value)
        body = {
            "data": data,
            "fn_index": event["id"],
            "session_hash": self.session,
            "event_data": event_data,
            "trigger_id": None,
        }
        return self.http.post("/gradio_api/queue/join", params={"run": run}, json=body | extra)

    def listen(self, wanted: str = "", most: int = 50) -> list[dict[str, Any]]:
        """Messages of the session until one event (or all) is completed."""
        messages: list[dict[str, Any]] = []
        query = {"session_hash": self.session}
        with self.http.stream("GET", "/gradio_api/queue/data", params=query) as answer:
            if answer.is_error:
                return [{"msg": "refused", "status": answer.status_code}]
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    messages.append(json.loads(line[5:]))
                    message = messages[-1]
                    completed = message["msg"] == "process_completed"
                    if (completed and message["event_id"] == wanted) or len(messages) >= most:
                        break
        return messages

    def call(self, event: dict[str, Any], most: int = 50, **given: Any) -> list[Any]:
        """What an event outputs, one entry for each time that it says something."""
        answer = self.send(event, **given)
        if answer.is_error:
            return [answer.status_code, answer.json()]
        messages = self.listen(answer.json()["event_id"], most)
        said = ("process_generating", "process_completed")
        return [(m.get("success"), m["output"].get("data")) for m in messages if m["msg"] in said]

    def _part(self, number: int) -> dict[str, Any]:
        return next(p["props"] for p in self.page["components"] if p["id"] == number)
