"""A small hub on this machine: it takes new data sets and what is committed to them."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKEN = "hf_visitorsOwnToken123"


class FakeHub:
    """Attributes:
    files: name -> content of what was committed.
    seen: the tokens that were sent.
    created: what was asked for when the data set was made.
    refuse: path's end -> status to answer with.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.seen: set[str] = set()
        self.created: dict = {}
        self.refuse: dict[str, int] = {}
        self.before_upload = lambda: None
        self.address = ""

    def answer(self, method: str, path: str, token: str, body: bytes):
        """(status, JSON)"""
        if token:
            self.seen.add(token)
        for end, status in self.refuse.items():
            if path.endswith(end):
                return status, {"error": f"no {token}"}
        if method == "PUT":
            self.before_upload()
            self.large[path.rsplit("/", 1)[1]] = body
            return 200, {}
        if token != f"Bearer {TOKEN}":
            return 401, {"error": f"Invalid {token}"}
        if path.endswith("/api/repos/create"):
            self.created = json.loads(body)
            name = self.created["name"]
            owner = self.created.get("organization") or "ann"
            return 200, {
                "url": f"{self.address}/datasets/{owner}/{name}",
                "name": f"{owner}/{name}",
            }
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            kinds = {True: "lfs", False: "regular"}
            return 200, {
                "files": [
                    {
                        "path": f["path"],
                        "uploadMode": kinds[f["path"].endswith(("png", "webp", "jpg"))],
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for f in asked
                ]
            }
        if path.endswith("/info/lfs/objects/batch"):
            return 200, {
                "transfer": "basic",
                "objects": [self._upload(o) for o in json.loads(body)["objects"]],
            }
        if "/commit/" in path:
            self._commit(body)
            return 200, {
                "commitUrl": f"{self.address}/datasets/ann/moles/commit/0",
                "commitOid": "0" * 40,
                "success": True,
            }
        return 200, {"errors": [], "warnings": []}

    def _upload(self, asked):
        href = f"{self.address}/upload/{asked['oid']}"
        return {**asked, "actions": {"upload": {"href": href}}}

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.files[value["path"]] = self.large[value["oid"]]


@contextmanager
def serving_hub():
    """A ``FakeHub`` that answers at its ``address``."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            token = self.headers.get("Authorization") or ""
            status, told = hub.answer(self.command, path, token, body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = _answer

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
