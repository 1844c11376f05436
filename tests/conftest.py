"""Shared pieces of the tests: small private data sets and settings, and a home of their own."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe_engine.config import RunConfig
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.storage import RunFolder

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "assets" / "examples" / "handwriting.zip"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A PE_HOME of this test's own."""
    path = tmp_path / "home"
    monkeypatch.setenv("PE_HOME", str(path))
    return path


@pytest.fixture
def ledger(home):
    return Ledger(home)


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A zip with 20 handwritten digits of each of '0', '1' and '2', named by the seed's rule."""
    return some_digits(tmp_path_factory.mktemp("data") / "digits.zip", slice(20))


@pytest.fixture(scope="session")
def other_digits(tmp_path_factory) -> Path:
    """The same with other images."""
    return some_digits(tmp_path_factory.mktemp("data") / "others.zip", slice(20, 40))


def some_digits(path: Path, places: slice) -> Path:
    with zipfile.ZipFile(EXAMPLE) as example, zipfile.ZipFile(path, "w") as small:
        for digit in "012":
            names = sorted(n for n in example.namelist() if n.startswith(f"{digit}_"))
            for name in names[places]:
                small.writestr(name, example.read(name))
    return path


@pytest.fixture
def config():
    """Quick settings for ``digits``."""
    return RunConfig(
        dataset_name="digits", iterations=3, num_samples=(30,), lookahead=2, epsilon=5.0
    )


def png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file of these pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """Nothing was downloaded before, and nothing can be now."""
    from huggingface_hub import constants

    from pe_engine.embedders.weights import WEIGHTS

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    closed = replace(WEIGHTS["inception"], url="http://127.0.0.1:9/inception.pth")
    monkeypatch.setitem(WEIGHTS, "inception", closed)


def share_votes(out, monkeypatch):
    """Let all runs from now on find the noisy votes of the run in ``out`` committed."""
    run_id = Header.from_json(RunFolder(out).read_header()).run_id
    noisy_votes = Ledger.noisy_votes
    monkeypatch.setattr(
        Ledger, "noisy_votes", lambda self, _, generation: noisy_votes(self, run_id, generation)
    )
