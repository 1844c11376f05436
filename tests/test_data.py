"""Private folders and zips: what is found, how it is classed, what is skipped, what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import threading
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe_engine.data import Limits, PrivateDataset, open_dataset
from pe_engine.errors import ConfigError, DataError
from pe_engine.images import to_uint8

EXAMPLE = Path(__file__).parents[1] / "assets" / "examples" / "handwriting.zip"
Files = Mapping[str, bytes]


def image(level: int = 100, file_format: str = "PNG", size=(8, 8), **options) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(buffer, file_format, **options)
    return buffer.getvalue()


def folder(root: Path, files: Files) -> Path:
    """``files`` below ``root``; a name that ends in "/" is an empty folder."""
    for name, data in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return root


def packed(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def either(kind: str, tmp_path: Path, files: Files) -> Path:
    return folder(tmp_path / "set", files) if kind == "folder" else packed(tmp_path / "z", files)


both_kinds = pytest.mark.parametrize("kind", ["folder", "zip"])


def read_all(data: PrivateDataset, size: int = 8, **options) -> tuple[np.ndarray, list, dict]:
    """Images, class names of them, and reason by name of what was skipped at any time."""
    batches = list(data.batches(size, **options))
    ids = np.concatenate([batch.class_ids for batch in batches])
    skipped = [*data.skipped, *(one for batch in batches for one in batch.skipped)]
    assert batches[-1].done == len(data)
    return (
        np.concatenate([batch.images for batch in batches]),
        [data.class_names[i] for i in ids],
        {one.name: one.reason for one in skipped},
    )


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


# --- Folders ------------------------------------------------------------------------------------

unix = pytest.mark.skipif(os.name == "nt", reason="needs the files of a Unix system")


@unix
@pytest.mark.parametrize("case", ["file-link", "folder-link", "loop", "pipe", "dangling"])
def test_folder_entry_that_is_no_plain_file_is_skipped(tmp_path: Path, case: str) -> None:
    outside = folder(tmp_path / "outside", {"x.png": A})
    root = folder(tmp_path / "set", {"1.png": A})
    odd = root / "odd.png"
    if case == "pipe":
        os.mkfifo(odd)
    else:
        targets = {"file-link": outside / "x.png", "folder-link": outside, "loop": root}
        odd.symlink_to(targets.get(case, outside / "nothing"))
    images, _, skipped = read_all(open_dataset(root))
    assert len(images) == 1
    assert skipped == {"odd.png": "is a link or a device, not a plain file"}


@unix
@pytest.mark.parametrize("becomes", ["gone", "link", "pipe"])
def test_file_that_is_replaced_after_listing_is_skipped(tmp_path: Path, becomes: str) -> None:
    root = folder(tmp_path / "set", {"1.png": A, "2.png": A})
    data = open_dataset(root)
    (root / "2.png").unlink()
    if becomes == "link":
        (root / "2.png").symlink_to(root / "1.png")
    elif becomes == "pipe":
        os.mkfifo(root / "2.png")
    images, _, skipped = read_all(data)
    assert len(images) == 1
    assert skipped == {"2.png": "cannot be opened"}


@unix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read anything")
def test_what_may_not_be_read_is_skipped(tmp_path: Path) -> None:
    root = folder(tmp_path, {"1.png": A, "2.png": A, "locked/3.png": A})
    (root / "2.png").chmod(0)
    (root / "locked").chmod(0)
    images, _, skipped = read_all(open_dataset(root, "none"))
    (root / "locked").chmod(0o700)
    assert len(images) == 1
    assert set(skipped) == {"2.png", "locked"}


def test_unreadable_folder_inside_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    root = folder(tmp_path, {"1.png": A, "locked/3.png": A})
    images, _, skipped = read_all(open_dataset(root, "none"))
    assert len(images) == 1
    assert skipped == {"locked": "is a folder that cannot be opened"}


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="needs a free name")
def test_file_name_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    folder(tmp_path, {"1.png": A})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_bytes(A)
    images, _, skipped = read_all(open_dataset(tmp_path))
    assert len(images) == 1
    assert list(skipped.values()) == ["has a name that is not UTF-8"]


# --- Zips ---------------------------------------------------------------------------------------


def member(name: str, data: bytes = A, mode: int = 0, method: int = zipfile.ZIP_DEFLATED):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = method
    return info, data


UNSAFE_MEMBERS = {
    "absolute": (member("/etc/odd.png"), "unsafe path"),
    "parent": (member("../odd.png"), "unsafe path"),
    "parent-inside": (member("a/../../odd.png"), "unsafe path"),
    "backslash": (member("a\\odd.png"), "unsafe path"),
    "drive": (member("C:/odd.png"), "unsafe path"),
    "too-deep": (member("a/" * 20_000 + "odd.png"), "unsafe path"),
    "link": (member("odd.png", b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link"),
    "pipe": (member("odd.png", A, stat.S_IFIFO | 0o600), "is a link or a device"),
    "bomb": (member("odd.bmp", bytes(1_000_000)), "unpacks to more than 100 times"),
    "bzip2": (member("odd.png", A, 0, zipfile.ZIP_BZIP2), "unusual method"),
    "lzma": (member("odd.png", A, 0, zipfile.ZIP_LZMA), "unusual method"),
}


@pytest.mark.parametrize("case", UNSAFE_MEMBERS)
def test_unsafe_member_is_skipped(tmp_path: Path, case: str) -> None:
    (info, content), reason = UNSAFE_MEMBERS[case]
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("good.png", A)
        archive.writestr(info, content)
    images, _, skipped = read_all(open_dataset(tmp_path / "z"))
    assert len(images) == 1
    assert [reason in text for text in skipped.values()] == [True]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["z"]


def patched(path: Path, change: Callable[[bytearray, int, int], None]) -> Path:
    """The zip with ``change(bytes, local header, directory entry)`` applied to its last member."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")
    change(data, data.rindex(b"PK\3\4"), entry)
    path.write_bytes(data)
    return path


def encrypt(data: bytearray, local: int, entry: int) -> None:
    data[local + 6] |= 1
    data[entry + 8] |= 1


def declare_less(data: bytearray, local: int, entry: int) -> None:
    struct.pack_into("<I", data, entry + 24, 50)


def corrupt(data: bytearray, local: int, entry: int) -> None:
    data[local + 50 : local + 60] = bytes(10)


def misplace(data: bytearray, local: int, entry: int) -> None:
    struct.pack_into("<I", data, entry + 42, local + 5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (encrypt, "is encrypted"),
        (declare_less, "is damaged inside the zip"),
        (corrupt, "is damaged inside the zip"),
        (misplace, "is damaged inside the zip"),
    ],
)
def test_member_that_lies_is_skipped(tmp_path: Path, change: Callable, reason: str) -> None:
    path = packed(tmp_path / "z", {"good.png": A, "odd.png": image(size=(64, 64))})
    images, _, skipped = read_all(open_dataset(patched(path, change)))
    assert len(images) == 1
    assert skipped == {"odd.png": reason}


def test_no_more_is_unpacked_than_declared(tmp_path: Path) -> None:
    """The packed bytes hold 200 MB; the directory says 50 kB, which the ratio allows."""
    content = bytes(200_000_000)
    path = packed(tmp_path / "z", {"good.png": A, "odd.bmp": content})
    del content

    def lie(data: bytearray, local: int, entry: int) -> None:
        struct.pack_into("<I", data, entry + 24, 50_000)

    data = open_dataset(patched(path, lie))
    tracemalloc.start()
    _, _, skipped = read_all(data, workers=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert skipped == {"odd.bmp": "is damaged inside the zip"}
    assert peak < 10e6


def test_second_member_of_the_same_name_is_skipped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("a.png", image(1))
        archive.writestr("./a.png", image(2))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", image(3))
        archive.writestr("b.png", image(1))
    images, _, _ = read_all(data := open_dataset(tmp_path / "z"))
    assert (images == 1).all()
    assert [one.reason for one in data.skipped] == [
        "has the same name as an earlier file in the zip"
    ] * 2


def test_zip_that_vanishes_is_one_sentence(tmp_path: Path) -> None:
    data = open_dataset(packed(tmp_path / "z", {"a.png": A}))
    (tmp_path / "z").unlink()
    with pytest.raises(DataError, match="changed or gone"):
        next(data.batches(8))


def test_list_of_members_is_not_read_when_it_is_too_long(tmp_path: Path) -> None:
    """The end of this zip promises a list of 3 GB; it must be refused before it is looked at."""
    path = packed(tmp_path / "z", {"a.png": A})
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    directory = struct.unpack_from("<I", data, end + 12)[0]
    filler = bytes(2_000_000)
    data[end - directory : end - directory] = filler
    end += len(filler)
    struct.pack_into("<I", data, end + 12, directory + len(filler))
    path.write_bytes(data)
    with pytest.raises(DataError, match="more than 1,000 files"):
        open_dataset(path, limits=Limits(members=1000))


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


@unix
def test_pipe_as_source_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        open_dataset(tmp_path / "pipe")


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
