"""Weights: found in a cache, downloaded once and checked, or one clear sentence."""

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from pe_engine.components import load_class
from pe_engine.embedders import EMBEDDERS, weights
from pe_engine.embedders.weights import WEIGHTS, FileWeights, fetch, ready_embedders
from pe_engine.errors import GeneratorError

CLOSED = "http://127.0.0.1:9"  # nothing listens there, so it refuses at once


@pytest.fixture(autouse=True)
def no_caches(tmp_path, monkeypatch):
    """Empty caches and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    use_hub(monkeypatch, CLOSED)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    known = replace(WEIGHTS["inception"], url=f"{CLOSED}/inception.pth")
    monkeypatch.setitem(WEIGHTS, "inception", known)


def use_hub(monkeypatch, address):
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def hub(status, headers=(), files=()):
    """A hub whose pinned CLIP has these files, and that answers all else with this status."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            folder, _, name = self.path.rpartition("/")
            pinned = folder.endswith(f"/resolve/{WEIGHTS['clip'].revision}")
            content = dict(files).get(name) if pinned else None
            if self.path == "/" or content is not None:
                self.send_response(200)
                self.send_header("ETag", f'"{name}"')
                self.send_header("X-Repo-Commit", WEIGHTS["clip"].revision)
                self.send_header("Content-Length", str(len(content or b"")))
            else:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
            self.end_headers()
            if content is not None and self.command == "GET":
                self.wfile.write(content)

        do_GET = do_HEAD

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_building_without_weights_and_network_says_what_works(name):
    with pytest.raises(GeneratorError) as caught:
        load_class(EMBEDDERS, name)(64, "cpu", False)
    text = str(caught.value)
    assert f"The embedder {name} needs {WEIGHTS[name].title} " in text
    assert "cannot be reached" in text
    assert text.endswith("works here without a download: pixels.")


def test_offline_mode_is_obeyed_and_named(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(GeneratorError, match="HF_HUB_OFFLINE forbids the download"):
        fetch("clip")


def test_gated_and_missing_models_each_have_their_sentence(monkeypatch):
    with hub(403, [("X-Error-Code", "GatedRepo")]) as address:
        use_hub(monkeypatch, address)
        with pytest.raises(GeneratorError, match=r"licence\. Accept it on .* 'hf auth login'"):
            fetch("clip")
    with hub(404, [("X-Error-Code", "RepoNotFound")]) as address:
        use_hub(monkeypatch, address)
        with pytest.raises(GeneratorError, match="has no such model, or it is private"):
            fetch("dinov2")


def test_hub_weights_are_downloaded_once(monkeypatch):
    files = {"config.json": b"{}", "model.safetensors": b"12345"}
    with hub(404, files=files) as address:
        use_hub(monkeypatch, address)
        folder = fetch("clip")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert folder.name == WEIGHTS["clip"].revision
    assert fetch("clip") == folder  # the server is gone
    assert ready_embedders() == ["pixels", "clip"]


def test_half_a_model_is_not_cached(monkeypatch):
    with hub(404, [("X-Error-Code", "EntryNotFound")], {"config.json": b"{}"}) as address:
        use_hub(monkeypatch, address)
        with pytest.raises(GeneratorError, match=r"it has no config.json or model.safetensors"):
            fetch("clip")
    assert ready_embedders() == ["pixels"]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small file in place of the published network, on this disk."""
    path = tmp_path / "published" / "inception.pth"
    path.parent.mkdir()
    path.write_bytes(b"published")
    sha256 = hashlib.sha256(b"published").hexdigest()
    known = FileWeights("a file", path.as_uri(), sha256, 1)
    monkeypatch.setitem(WEIGHTS, "inception", known)
    return path


def test_a_file_is_downloaded_once(published, tmp_path):
    path = fetch("inception")
    assert path == tmp_path / "torch/hub/checkpoints/inception.pth"
    assert path.read_bytes() == b"published"
    published.unlink()
    assert fetch("inception") == path
    assert ready_embedders() == ["pixels", "inception"]


def test_a_file_with_another_hash_never_gets_its_name(published, tmp_path):
    published.write_bytes(b"forged")
    with pytest.raises(GeneratorError, match="not the published file"):
        fetch("inception")
    assert not list((tmp_path / "torch/hub/checkpoints").iterdir())


def test_a_server_that_refuses_and_a_full_disk_each_have_their_sentence(published, monkeypatch):
    with hub(503) as address:
        known = replace(WEIGHTS["inception"], url=f"{address}/inception.pth")
        monkeypatch.setitem(WEIGHTS, "inception", known)
        with pytest.raises(GeneratorError, match=r"127.0.0.1:\d+ answers 503. Try again later"):
            fetch("inception")
    known = replace(WEIGHTS["inception"], url=published.as_uri())
    monkeypatch.setitem(WEIGHTS, "inception", known)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.hub.download_url_to_file", full)
    with pytest.raises(GeneratorError, match=r"stored \(No space left on device\). Make room"):
        fetch("inception")


def test_a_link_in_the_middle_that_breaks_is_a_network_fault(published, monkeypatch):
    def broken(*_, **__):
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr("torch.hub.download_url_to_file", broken)
    with pytest.raises(GeneratorError, match="cannot be reached from here"):
        fetch("inception")


def test_weights_are_pinned():
    for known in WEIGHTS.values():
        pin = known.sha256 if isinstance(known, FileWeights) else known.revision
        assert len(pin) in (40, 64)
        assert set(pin) <= set("0123456789abcdef")
    assert set(WEIGHTS) < set(EMBEDDERS)
    assert weights.HubWeights.files == ("config.json", "model.safetensors")
