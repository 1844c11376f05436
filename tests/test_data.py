"""Private folders and zips: what is found, how it is classed, and in what pieces it comes.

``tests/hostile`` has what is skipped and refused.
"""

from __future__ import annotations

import hashlib
import io
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe_engine.data import open_dataset
from pe_engine.errors import ConfigError, DataError
from pe_engine.images import to_uint8
from tests.hostile.making import either, folder, image, packed
from tests.hostile.trying import both_kinds, read_all

EXAMPLE = Path(__file__).parents[1] / "assets" / "examples" / "handwriting.zip"

# --- Formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@both_kinds
def test_formats_are_known_by_content(tmp_path: Path, kind: str, file_format: str) -> None:
    data = image(100, file_format)
    files = {"a": data, "b.png": data, "c.txt": data, "d.jpg": data}
    images, _, skipped = read_all(open_dataset(either(kind, tmp_path, files)))
    assert not skipped
    assert images.shape == (4, 8, 8, 3)
    assert np.abs(images.astype(int) - 100).max() <= 2


def test_16_bit_png_keeps_its_mid_grey(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)).save(buffer, "PNG")
    images, _, _ = read_all(open_dataset(folder(tmp_path, {"a.png": buffer.getvalue()})))
    assert (images == 128).all()


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(buffer, "JPEG")
    images, _, _ = read_all(open_dataset(folder(tmp_path, {"a.jpg": buffer.getvalue()})))
    assert np.abs(images.astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(tmp_path: Path, file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), (level,) * 3) for level in (200, 100, 50)]
    buffer = io.BytesIO()
    frames[0].save(buffer, file_format, save_all=True, append_images=frames[1:])
    images, _, _ = read_all(open_dataset(folder(tmp_path, {"a": buffer.getvalue()})))
    assert np.abs(images.astype(int) - 200).max() <= 3


def test_large_jpeg_is_shrunk_to_what_it_shows(tmp_path: Path) -> None:
    gradient = np.broadcast_to(np.linspace(0, 255, 512).astype(np.uint8)[:, None], (512, 512))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(gradient)).save(buffer, "JPEG", quality=95)
    images, _, _ = read_all(open_dataset(folder(tmp_path, {"a.jpg": buffer.getvalue()})))
    expected = gradient.reshape(8, 64, 512).mean(axis=(1, 2))
    assert np.abs(images[0, :, 0, 0] - expected).max() < 6


def test_jpeg_not_much_larger_than_asked_keeps_its_detail(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    images, _, _ = read_all(open_dataset(folder(tmp_path, {"a.jpg": buffer.getvalue()})), 16)
    np.testing.assert_array_equal(images[0], to_uint8(Image.open(buffer), 16))


# --- Classes ------------------------------------------------------------------------------------

A = image()
CLASS_CASES = {
    "folders": (
        {"cat/1.png": A, "cat/2.png": A, "dog/1.png": A},
        ("folder", ("cat", "dog"), ["cat", "cat", "dog"]),
    ),
    "folders-deep": (
        {"cat/x/y/1.png": A, "cat/2.png": A, "dog/z/1.png": A},
        ("folder", ("cat", "dog"), ["cat", "cat", "dog"]),
    ),
    "folders-wrapped": (
        {"w/v/cat/1.png": A, "w/v/dog/1.png": A},
        ("folder", ("cat", "dog"), ["cat", "dog"]),
    ),
    "folders-before-prefix": (
        {"x/a_1.png": A, "x/b_1.png": A, "y/a_2.png": A, "y/b_2.png": A},
        ("folder", ("x", "y"), ["x", "x", "y", "y"]),
    ),
    "folder-empty": (
        {"cat/1.png": A, "dog/": b""},
        ("folder", ("cat", "dog"), ["cat"]),
    ),
    "numbers-by-value": (
        {"10/1.png": A, "9/1.png": A, "2/1.png": A},
        ("folder", ("2", "9", "10"), ["10", "2", "9"]),
    ),
    "prefix": (
        {"7_0.png": A, "7_1.png": A, "10_0.png": A, "10_1_x.png": A},
        ("prefix", ("7", "10"), ["10", "10", "7", "7"]),
    ),
    "prefix-wrapped": (
        {"w/a_0.png": A, "w/a_1.png": A, "w/b_0.png": A, "w/b_1.png": A},
        ("prefix", ("a", "b"), ["a", "a", "b", "b"]),
    ),
    "prefix-with-stray-text": (
        {"a_0.png": A, "a_1.png": A, "b_0.png": A, "b_1.png": A, "notes.txt": b"x"},
        ("prefix", ("a", "b"), ["a", "a", "b", "b"]),
    ),
    "prefix-missing-once": (
        {"a_0.png": A, "a_1.png": A, "b_0.png": A, "b_1.png": A, "c.png": A},
        ("none", ("",), [""] * 5),
    ),
    "prefix-empty-once": (
        {"a_0.png": A, "a_1.png": A, "b_0.png": A, "b_1.png": A, "_c.png": A},
        ("none", ("",), [""] * 5),
    ),
    "prefix-all-different": (
        {"a_0.png": A, "b_0.png": A, "c_0.png": A},
        ("none", ("",), [""] * 3),
    ),
    "prefix-all-the-same": ({"IMG_0.png": A, "IMG_1.png": A}, ("none", ("",), [""] * 2)),
    "one-folder": ({"cat/1.png": A, "cat/2.png": A}, ("none", ("",), [""] * 2)),
    "one-folder-and-one-beside": (
        {"cat/1.png": A, "cat/2.png": A, "stray.png": A},
        ("none", ("",), [""] * 3),
    ),
    "few-in-folders": (
        {"a.png": A, "b.png": A, "c.png": A, "x/1.png": A, "y/1.png": A, "z/": b""},
        ("none", ("",), [""] * 5),
    ),
}


@pytest.mark.parametrize("case", CLASS_CASES)
@both_kinds
def test_auto_finds_the_classes(tmp_path: Path, kind: str, case: str) -> None:
    files, (rule, class_names, of_images) = CLASS_CASES[case]
    data = open_dataset(either(kind, tmp_path, files))
    assert (data.rule, data.class_names) == (rule, class_names)
    assert [data.class_names[i] for i in data.class_ids] == of_images
    assert read_all(data)[1] == of_images


@both_kinds
def test_rules_can_be_forced(tmp_path: Path, kind: str) -> None:
    files = {"w/x/a_1.png": A, "w/x/b_1.png": A, "w/y/a_2.png": A, "w/y/b_2.png": A}
    source = either(kind, tmp_path, files)
    assert open_dataset(source, "folder").class_names == ("x", "y")
    assert open_dataset(source, "prefix").class_names == ("a", "b")
    assert open_dataset(source, "none").class_names == ("",)
    with pytest.raises(ConfigError, match="colour"):
        open_dataset(source, "colour")


def test_single_folder_is_a_class_when_folders_are_forced(tmp_path: Path) -> None:
    data = open_dataset(folder(tmp_path, {"w/cat/1.png": A}), "folder")
    assert data.class_names == ("cat",)


def test_forced_rule_that_does_not_fit_is_refused_by_number(tmp_path: Path) -> None:
    source = folder(tmp_path, {"secret_1.png": A, "_hidden.png": A, "private.png": A})
    with pytest.raises(DataError, match="2 of the 3 images have no class") as prefix:
        open_dataset(source, "prefix")
    with pytest.raises(DataError, match="None of the 3 images lies in a sub-folder") as top:
        open_dataset(source, "folder")
    for error in (prefix, top):
        assert not any(word in str(error.value) for word in ("secret", "hidden", "private"))


@both_kinds
def test_images_beside_the_class_folders_are_skipped(tmp_path: Path, kind: str) -> None:
    files = {"cat/1.png": A, "dog/1.png": A, "stray.png": A}
    data = open_dataset(either(kind, tmp_path, files))
    images, classes, skipped = read_all(data)
    assert (len(data), len(images), classes) == (2, 2, ["cat", "dog"])
    assert "beside" in skipped["stray.png"]


def test_describe_says_what_was_chosen(tmp_path: Path) -> None:
    assert open_dataset(EXAMPLE).describe() == (
        "5,000 images in 10 classes, named by the file name up to the first '_'."
    )
    source = folder(tmp_path, {"cat/1.png": A, "dog/1.png": A})
    assert open_dataset(source).describe() == "2 images in 2 classes, named by their folder."
    assert open_dataset(tmp_path / "cat").describe() == "1 image without classes."


def test_classes_without_an_image_are_named(tmp_path: Path) -> None:
    source = folder(tmp_path, {"cat/1.png": A, "dog/": b"", "owl/1.png": b"broken"})
    data = open_dataset(source)
    assert data.empty_classes() == ("dog",)
    assert data.empty_class_notice() == (
        "The class 'dog' has no image that can be read; noise alone will choose the synthetic "
        "images."
    )
    seen = np.concatenate([batch.class_ids for batch in data.batches(8)])
    assert data.empty_classes(seen) == ("dog", "owl")
    assert "'dog', 'owl' have" in data.empty_class_notice(seen)
    assert open_dataset(source / "cat").empty_class_notice() is None


def test_very_long_numbers_in_class_names_are_sorted(tmp_path: Path) -> None:
    long = "1" * 5000
    source = packed(tmp_path / "z", {f"{long}_{i}.png": A for i in range(2)} | {"2_0": A, "2_1": A})
    assert open_dataset(source).class_names == ("2", long)


# --- Streaming ----------------------------------------------------------------------------------


def test_folder_and_zip_give_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"{c}/{i}.png" for c in "ba" for i in range(20)]
    pixels = rng.integers(0, 256, (len(names), 8, 8, 3), dtype=np.uint8)
    files = {}
    for name, one in zip(names, pixels, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(one).save(buffer, "PNG")
        files[name] = buffer.getvalue()
    files["b/broken.png"] = b"x"
    sources = [
        folder(tmp_path / "set", files),
        packed(tmp_path / "z", files),
        packed(tmp_path / "reversed", {f"w/{n}": files[n] for n in reversed(files)}),
    ]
    order = np.argsort(names)
    for source, workers in zip(sources, (1, 2, 3), strict=True):
        batches = list(open_dataset(source).batches(8, batch_size=7, workers=workers))
        assert [b.done for b in batches] == [7, 14, 21, 28, 35, 41]
        images = np.concatenate([b.images for b in batches])
        np.testing.assert_array_equal(images, pixels[order])
        ids = np.concatenate([b.class_ids for b in batches])
        assert ids.dtype == np.int64
        assert ids.tolist() == [0] * 20 + [1] * 20
        digests = [digest for b in batches for digest in b.digests]
        assert digests == [hashlib.sha256(files[names[i]]).digest() for i in order]


def test_example_is_500_images_of_each_digit() -> None:
    images, classes, skipped = read_all(open_dataset(EXAMPLE), 28)
    assert images.shape == (5000, 28, 28, 3)
    assert not skipped
    assert classes == [digit for digit in "0123456789" for _ in range(500)]
    with zipfile.ZipFile(EXAMPLE) as archive:
        first = np.asarray(Image.open(io.BytesIO(archive.read(min(archive.namelist())))))
    np.testing.assert_array_equal(images[0], np.repeat(first[..., None], 3, axis=2))


def test_images_are_not_all_in_memory(tmp_path: Path) -> None:
    data = open_dataset(packed(tmp_path / "z", {f"{i:04d}.png": A for i in range(3000)}))
    tracemalloc.start()
    seen = sum(len(batch.images) for batch in data.batches(32, batch_size=64, workers=2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 3000
    assert peak < 6e6  # all images are 9.2 MB; the zip's own list of members is 2.5 MB


def test_batches_shrink_for_large_images(tmp_path: Path) -> None:
    data = open_dataset(folder(tmp_path, {f"{i}.png": A for i in range(12)}))
    sizes = [len(batch.images) for batch in data.batches(2048)]
    assert sum(sizes) == 12
    assert max(sizes) == 5


def test_stopping_early_ends_the_threads(tmp_path: Path) -> None:
    data = open_dataset(folder(tmp_path, {f"{i}.png": A for i in range(100)}))
    before = threading.active_count()
    batches = data.batches(8, batch_size=10)
    next(batches)
    batches.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_no_damaged_bytes_escape_the_decoder(tmp_path: Path, file_format: str) -> None:
    rng = np.random.default_rng(0)
    whole = image(90, file_format, (40, 30))
    files = {"good.png": A}
    for i in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 400), rng.integers(1, 6)):
            damaged[at] = rng.integers(0, 256)
        files[f"{i}.png"] = bytes(damaged[: rng.integers(1, len(whole) + 1)] if i % 3 else damaged)
    images, _, skipped = read_all(open_dataset(folder(tmp_path, files)))
    assert len(images) + len(skipped) == 301
