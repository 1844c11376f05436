"""Broken and odd files, and sources that are refused as a whole."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe_engine.data import Limits, open_dataset
from pe_engine.errors import DataError
from tests.hostile.making import Files, either, folder, image, packed
from tests.hostile.trying import both_kinds, read_all
from tests.hostile.zip_making import patched

EXAMPLE = Path(__file__).parents[2] / "assets" / "examples" / "handwriting.zip"

A = image()


# --- Hostile and broken files -------------------------------------------------------------------


def promised(width: int, height: int) -> bytes:
    """A small PNG whose header promises another size; Pillow would warn about a large one."""
    png = image()
    header = png[12:16] + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def large_webp() -> bytes:
    """An animation whose header promises 16,384 x 16,384 pixels."""
    frames = [Image.new("RGB", (8, 8), (i,) * 3) for i in (9, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    data = bytearray(buffer.getvalue())
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xff\x3f\x00" * 2
    return bytes(data)


def large_gif() -> bytes:
    data = bytearray(image(file_format="GIF"))
    data[6:10] = struct.pack("<HH", 65_535, 65_535)
    return bytes(data)


NOISE = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
BROKEN = {
    "zero-bytes": (b"", "is empty"),
    "one-byte": (b"\x89", "is not a PNG"),
    "text": (b"remember the milk", "is not a PNG"),
    "pdf": (b"%PDF-1.7\n" + NOISE, "is not a PNG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a PNG"),
    "zip-inside": (b"PK\3\4" + NOISE, "is not a PNG"),
    "noise": (b"\0" + NOISE, "is not a PNG"),
    "png-truncated": (image(size=(64, 64))[:-40], "is damaged"),
    "png-only-signature": (image()[:8], "is damaged"),
    "png-corrupt": (image()[:45] + bytes(10) + image()[55:], "is damaged"),
    "png-wrong-checksum": (image()[:29] + bytes(4) + image()[33:], "is damaged"),
    "png-then-noise": (image()[:8] + NOISE, "is damaged"),
    "png-no-size": (promised(0, 0), "is damaged"),
    "jpeg-truncated": (image(file_format="JPEG", size=(64, 64))[:-40], "is damaged"),
    "jpeg-then-noise": (b"\xff\xd8\xff" + NOISE, "is damaged"),
    "gif-truncated": (image(file_format="GIF")[:20], "is damaged"),
    "webp-then-noise": (b"RIFF\0\1\0\0WEBP" + NOISE, "is damaged"),
    "bmp-then-noise": (b"BM" + NOISE, "is damaged"),
    "tiff-then-noise": (b"II*\0" + NOISE, "is damaged"),
    "tiff-truncated": (image(file_format="TIFF")[:100], "is damaged"),
    "png-bomb": (
        promised(30_000, 30_000),
        "30,000 x 30,000 pixels, more than the 25,000,000 allowed",
    ),
    "png-pillow-warns": (promised(10_000, 10_000), "10,000 x 10,000 pixels"),
    "webp-bomb": (large_webp(), "16,384 x 16,384 pixels"),
    "gif-bomb": (large_gif(), "65,535 x 65,535 pixels"),
    "pixels-over-limit": (promised(5001, 5000), "5,001 x 5,000 pixels"),
}


@pytest.mark.parametrize("case", BROKEN)
@both_kinds
def test_broken_file_is_skipped_and_reported(tmp_path: Path, kind: str, case: str) -> None:
    content, reason = BROKEN[case]
    files = {"bad.png": content, "good.png": image(7), "odd.dat": content}
    images, _, skipped = read_all(open_dataset(either(kind, tmp_path, files)))
    assert (images == 7).all()
    assert len(images) == 1
    assert set(skipped) == {"bad.png", "odd.dat"}
    assert reason in skipped["bad.png"]


@pytest.mark.parametrize("shape", [(1, 65_535), (65_535, 1), (5000, 5000), (1, 1)])
def test_odd_shapes_within_the_limits_are_read(tmp_path: Path, shape: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.new("1", shape, 1).save(buffer, "PNG")
    images, _, skipped = read_all(open_dataset(folder(tmp_path, {"a.png": buffer.getvalue()})), 28)
    assert not skipped
    assert (images == 255).all()


@both_kinds
def test_file_over_the_byte_limit_is_skipped(tmp_path: Path, kind: str) -> None:
    files = {"large.bmp": image(file_format="BMP", size=(64, 64)), "small.png": A}
    limits = Limits(file_bytes=5000, zip_ratio=10_000)
    images, _, skipped = read_all(open_dataset(either(kind, tmp_path, files), limits=limits))
    assert len(images) == 1
    assert "MB" in skipped["large.bmp"]


@both_kinds
def test_what_systems_leave_behind_is_passed_over(tmp_path: Path, kind: str) -> None:
    junk = [
        *("__MACOSX/cat/._1.png", "cat/._1.png", ".DS_Store", "cat/.DS_Store", "Thumbs.db"),
        *("cat/Thumbs.db", "desktop.ini", ".git/1.png", "dog/.hidden/1.png", ".hidden.png"),
    ]
    files = {"cat/1.png": A, "dog/1.png": A} | dict.fromkeys(junk, A)
    data = open_dataset(either(kind, tmp_path, files))
    assert (len(data), data.class_names, data.skipped) == (2, ("cat", "dog"), ())


def test_names_in_any_language_are_kept(tmp_path: Path) -> None:
    files = {"кот/ж 1.png": A, "犬/名.png": A, "a'b<c>&/1.png": A}
    in_folder = open_dataset(folder(tmp_path / "set", files))
    in_zip = open_dataset(packed(tmp_path / "z", files))
    assert in_folder.class_names == in_zip.class_names == ("a'b<c>&", "кот", "犬")


# --- Refused as a whole -------------------------------------------------------------------------


@both_kinds
def test_too_many_files_are_refused(tmp_path: Path, kind: str) -> None:
    source = either(kind, tmp_path, {f"{i}/{j}.png": A for i in range(3) for j in range(3)})
    assert len(open_dataset(source, limits=Limits(members=9))) == 9
    with pytest.raises(DataError, match="more than 8 files"):
        open_dataset(source, limits=Limits(members=8))


@both_kinds
@pytest.mark.parametrize("files", [{}, {"a.txt": b"x"}, {"cat/": b""}], ids=["none", "text", "dir"])
def test_set_without_an_image_is_refused(tmp_path: Path, kind: str, files: Files) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="no image in it"):
        open_dataset(either(kind, tmp_path, files))


def test_set_of_unreadable_images_is_refused_after_the_last_batch(tmp_path: Path) -> None:
    data = open_dataset(folder(tmp_path, {f"{i}.png": b"x" for i in range(5)}))
    batches = data.batches(8, batch_size=3)
    assert [len(next(batches).skipped) for _ in range(2)] == [3, 2]
    with pytest.raises(DataError, match="None of the files can be read as an image"):
        next(batches)


def no_zip(path: Path) -> None:
    path.write_bytes(b"hello")


def cut_zip(path: Path) -> None:
    path.write_bytes(EXAMPLE.read_bytes()[:10_000])


def not_utf8(path: Path) -> None:
    def change(data: bytearray, local: int, entry: int) -> None:
        data[entry + 9] |= 0x08  # "this name is UTF-8"
        data[entry + 46] = 0xFF

    patched(packed(path, {"a.png": A}), change)


WRONG_SOURCES = {
    "missing": (lambda path: None, "There is no such folder or zip"),
    "image": (lambda path: path.write_bytes(A), "This is a single image. Choose the folder"),
    "text": (no_zip, "neither a folder nor a zip"),
    "empty": (lambda path: path.write_bytes(b""), "neither a folder nor a zip"),
    "cut": (cut_zip, "The zip is damaged or incomplete"),
    "not-utf8": (not_utf8, "The zip is damaged or incomplete"),
    "too-long": (None, "cannot be opened|There is nothing at"),
}


@pytest.mark.parametrize("case", WRONG_SOURCES)
def test_wrong_source_is_one_sentence(tmp_path: Path, case: str) -> None:
    make, message = WRONG_SOURCES[case]
    source = tmp_path / ("x" * 5000 if case == "too-long" else "source")
    if make is not None:
        make(source)
    with pytest.raises(DataError, match=message):
        open_dataset(source)


@pytest.mark.skipif(os.name == "nt", reason="needs the files of a Unix system")
def test_pipe_as_source_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        open_dataset(tmp_path / "pipe")
