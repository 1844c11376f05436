"""Zips that nobody would want to open, made byte by byte."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.hostile.making import image, noisy

GOOD = image(7)


def with_member(name: str, data: bytes = GOOD, mode: int = 0, method: int = zipfile.ZIP_DEFLATED):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = method

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("good.png", GOOD)
            archive.writestr(info, data)

    return make


def with_nul(path: Path) -> None:
    with_member("odd.png\1.exe")(path)
    path.write_bytes(path.read_bytes().replace(b"\1.exe", b"\0.exe"))


Change = Callable[[bytearray, int, int], None]


def patched(path: Path, change: Change) -> Path:
    """The zip with ``change(bytes, local header, directory entry)`` applied to its last member."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")
    change(data, data.rindex(b"PK\3\4"), entry)
    path.write_bytes(data)
    return path


def changed(change: Change, data: bytes | None = None) -> Callable[[Path], None]:
    make = with_member("odd.png", noisy("PNG") if data is None else data)

    def both(path: Path) -> None:
        make(path)
        patched(path, change)

    return both


def written(offset: int, kind: str, value: int, local: bool = False) -> Change:
    def change(data: bytearray, header: int, entry: int) -> None:
        struct.pack_into(kind, data, (header if local else entry) + offset, value)

    return change


def encrypted(data: bytearray, header: int, entry: int) -> None:
    data[header + 6] |= 1
    data[entry + 8] |= 1


def corrupt(data: bytearray, header: int, entry: int) -> None:
    data[header + 50 : header + 60] = bytes(10)


def not_utf8(data: bytearray, header: int, entry: int) -> None:
    data[entry + 9] |= 0x08  # "this name is UTF-8"
    data[entry + 46] = 0xFF


def end(kind: str, offset: int, value: int) -> Change:
    """A field in the record that ends a zip."""

    def change(data: bytearray, header: int, entry: int) -> None:
        struct.pack_into(kind, data, data.rindex(b"PK\5\6") + offset, value)

    return change


def in_list(filler: bytes) -> Callable[[Path], None]:
    """So many bytes more in the list of members."""

    def make(path: Path) -> None:
        with_member("odd.png")(path)
        data = bytearray(path.read_bytes())
        end = data.rindex(b"PK\5\6")
        directory = struct.unpack_from("<I", data, end + 12)[0]
        data[end - directory : end - directory] = filler
        struct.pack_into("<I", data, end + len(filler) + 12, directory + len(filler))
        path.write_bytes(data)

    return make


def raw(before: bytes = b"", after: bytes = b"", keep: slice = slice(None)):
    def make(path: Path) -> None:
        with_member("odd.png")(path)
        path.write_bytes(before + path.read_bytes()[keep] + after)

    return make


def of(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def commented(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"PK\5\6" * 16_000
        archive.writestr("good.png", GOOD)
        archive.writestr("odd.png", GOOD)


def zip64(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", GOOD)
        with archive.open("odd.png", "w", force_zip64=True) as member:
            member.write(GOOD)


def of_many(names: Callable[[int], str], count: int, data: bytes = b"") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for i in range(count):
                archive.writestr(names(i), data)

    return make


def overlapping(path: Path) -> None:
    """1,000 entries that all lead to the same 100 kB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", noisy("PNG", (200, 180)))
    data = path.read_bytes()
    entry, end = data.rindex(b"PK\1\2"), data.rindex(b"PK\5\6")
    entries = b""
    for i in range(1000):
        name = b"%04d.png" % i
        head = bytearray(data[entry : entry + 46])
        struct.pack_into("<H", head, 28, len(name))
        entries += bytes(head) + name
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1000, 1000, len(entries), entry, 0)
    assert end > entry
    path.write_bytes(data[:entry] + entries + tail)


def twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", GOOD)
        archive.writestr("./good.png", image(9))


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("good.png")
        info.size = len(GOOD)
        archive.addfile(info, io.BytesIO(GOOD))


def nested(depth: int) -> bytes:
    data = GOOD
    for _ in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("inner.zip", data)
        data = buffer.getvalue()
    return data


def deep(i: int) -> str:
    """Names whose folders, all of them together, are 50 times as long."""
    return f"{i}" + "/".join(["x" * 300] * 90) + "/1.png"
