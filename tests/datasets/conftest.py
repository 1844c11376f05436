"""Small archives in the published layouts, and a server on this machine that gives them out."""

import gzip
import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from pe_engine.datasets import DATASETS, cifar10

RECORDS = 20
CLOSED = "http://127.0.0.1:9"  # nothing listens there, so it refuses at once


@pytest.fixture(autouse=True)
def never_the_network(monkeypatch):
    """No data set is where it is published, and no proxy stands between."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, dataset in DATASETS.items():
        if dataset.url:
            here = replace(dataset, url=f"{CLOSED}/{dataset.archive}", room=0)
            monkeypatch.setitem(DATASETS, name, here)


def packed(files, links=()):
    """The bytes of a ``.tar.gz`` with these files, by name, and links, by name and target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return buffer.getvalue()


def cifar_pixels():
    """Labels ``(6, RECORDS)`` and pixels ``(6, RECORDS, 32, 32, 3)`` of the six files."""
    rng = np.random.default_rng(0)
    labels = rng.permuted(np.tile(np.arange(RECORDS) % 10, (6, 1)), axis=1)
    return labels.astype(np.uint8), rng.integers(256, size=(6, RECORDS, 32, 32, 3), dtype=np.uint8)


def cifar_files():
    """The files of the archive, not in their order, as in the published one."""
    labels, pixels = cifar_pixels()
    planes = pixels.transpose(0, 1, 4, 2, 3).reshape(6, RECORDS, -1)
    records = np.concatenate([labels[..., None], planes], axis=2)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    files = {f"cifar-10-batches-bin/{n}": r.tobytes() for n, r in zip(names, records, strict=True)}
    files["cifar-10-batches-bin/readme.html"] = b"<html>"
    return dict(sorted(files.items(), key=lambda one: one[0][::-1]))


@pytest.fixture
def cifar(monkeypatch):
    """The bytes of a small CIFAR-10, whose checksum is believed to be the published one."""
    content = packed(cifar_files())
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    known = replace(
        DATASETS["cifar10"], size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setitem(DATASETS, "cifar10", known)
    return content


class Server:
    """Gives out ``content`` over HTTP.

    Attributes:
        cut: after how many bytes of a whole answer the connection breaks; None for never.
        ranges: whether it can start midway.
        status: what it answers in place of the file; None for the file.
        asked: the Range of each request.
    """

    def __init__(self, content):
        self.content = content
        self.cut = None
        self.ranges = True
        self.status = None
        self.asked = []
        server = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.headers.get("Range"))
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/archive"

    def answer(self, request):
        if self.status:
            request.send_error(self.status)
            return
        begin, size = 0, len(self.content)
        if self.ranges and (asked := request.headers.get("Range")):
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        if begin >= size:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{size}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        request.send_header("Content-Length", str(size - begin))
        request.end_headers()
        request.wfile.write(self.content[begin : self.cut])

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(cifar, monkeypatch):
    """Gives out the small CIFAR-10."""
    server = Server(cifar)
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], url=server.url))
    yield server
    server.close()


def bomb(declared, actual):
    """A ``.tar.gz`` of a file that says it has ``declared`` bytes and is followed by zeros."""
    info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    info.size = declared
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(actual), compresslevel=9)
