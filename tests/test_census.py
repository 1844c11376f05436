"""What the owner is told of the files: sizes and copies, within a bound on work."""

import itertools
import zipfile

import numpy as np
import pytest
from PIL import Image

from pe_engine import census
from pe_engine.census import take_census
from pe_engine.decode_pool import DecodePool
from pe_engine.decoding import UnreadableError
from pe_engine.errors import DataError
from pe_engine.sources import LOCAL_LIMITS, Limits
from pe_engine.ui.summary import census_html
from tests.conftest import png


def noise(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return png(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))


@pytest.fixture
def images(tmp_path):
    """Two sizes, large and tiny files, two copies of one, one that is damaged and one of text."""
    root = tmp_path / "images"
    files = {
        "a/1.png": noise(8, 6),
        "a/2.png": noise(8, 6),  # a copy
        "b/3.png": noise(8, 6),  # a copy
        "b/4.png": noise(8, 6, 1),
        "b/5.png": noise(300, 200),
        "b/6.png": noise(300, 200)[:-20_000],  # its header tells all the same
        "b/7.png": b"\x89PNG\r\n\x1a\n" + b"nothing" * 9,
        "b/8.jpg": b"text",
        "notes.txt": b"text",
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    Image.new("RGB", (900, 400), "red").save(root / "b" / "9.tif")  # its header stands at the end
    return root


@pytest.fixture
def packed(images, tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted(images.rglob("*.*")):
            archive.write(path, path.relative_to(images))
    return tmp_path / "images.zip"


@pytest.mark.parametrize("kind", ["images", "packed"])
def test_sizes_and_copies_are_counted(kind, request):
    told = take_census(request.getfixturevalue(kind), LOCAL_LIMITS, seconds=600)
    assert (told.images, told.looked_at, told.copies) == (9, 9, 2)
    assert told.sizes == {(8, 6): 4, (300, 200): 2, (900, 400): 1}
    assert told.extremes() == [(8, 6), (8, 6), (900, 400)]
    reasons = ["is damaged or incomplete", "is not a PNG, JPEG, WebP, GIF, BMP or TIFF image"]
    assert sorted(told.unreadable) == reasons
    assert told.seconds_to_read > 0
    assert told.copy_names == ["a/2.png", "b/3.png"]
    assert told.bad_names == ["b/7.png", "b/8.jpg"]


def test_the_work_has_a_bound(images, monkeypatch):
    assert take_census(images, LOCAL_LIMITS, most=2, seconds=600).looked_at == 2
    ticks = itertools.count()
    late = take_census(images, LOCAL_LIMITS, seconds=3, clock=lambda: next(ticks))
    assert (late.images, late.looked_at) == (9, 3)
    monkeypatch.setattr(census, "MOST_BYTES", 1)
    assert take_census(images, LOCAL_LIMITS, seconds=600).looked_at == 1


def test_a_few_are_looked_into_for_colour(tmp_path):
    grey = png(np.random.default_rng(0).integers(0, 256, (40, 40, 1)).repeat(3, 2).astype(np.uint8))
    for name, files in {
        "scans": [grey] * 4,
        "photographs": [noise(40, 40)] * 4,
        "scans, one with a stamp": [grey, grey, noise(40, 40), grey],
    }.items():
        (tmp_path / name).mkdir()
        for place, data in enumerate(files):
            (tmp_path / name / f"{place}.png").write_bytes(data)
        told = take_census(tmp_path / name, LOCAL_LIMITS, seconds=600)
        assert told.in_colour is (name == "photographs")
        assert ("in colour" in census_html(told)) is (name == "photographs")


def test_limits_hold(images):
    told = take_census(images, Limits(pixels=1000), seconds=600)
    assert told.sizes == {(8, 6): 4}
    assert "has 300 x 200 pixels, more than the 1,000 allowed" in told.unreadable
    with pytest.raises(DataError, match="no such folder"):
        take_census(images / "gone", LOCAL_LIMITS)


def test_nothing_but_a_tiny_png_or_jpeg_is_opened_in_this_process(images, monkeypatch):
    asked = []

    def measure(self, data, max_pixels):
        asked.append(data[:4])
        raise UnreadableError("is not asked here")

    monkeypatch.setattr(DecodePool, "measure", measure)
    told = take_census(images, LOCAL_LIMITS, seconds=600)
    assert asked == [b"\x89PNG", b"\x89PNG", b"II*\x00"]
    assert told.unreadable["is not asked here"] == 3
