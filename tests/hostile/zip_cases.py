"""Zips that nobody would want to open, and what becomes of each."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pe_engine.data import SHARED_LIMITS, Limits
from tests.hostile.making import image, noisy

GOOD = image(7)
UNSAFE = "has an unsafe path"
NOT_PLAIN = "is a link or a device, not a plain file"
DAMAGED_INSIDE = "is damaged inside the zip"
DAMAGED_ZIP = "The zip is damaged or incomplete"
NO_ZIP = "This is neither a folder nor a zip"
OVERLAP = "The files in the zip overlap"
TOO_MANY = "There are more than"


@dataclass(frozen=True)
class ZipCase:
    """One zip. It holds "good.png" and one file besides, unless it is refused as a whole.

    Attributes:
        make: writes it.
        skipped: what the reason for skipping the other file holds; "" where it is used.
        refused: how the sentence begins that refuses all.
    """

    make: Callable[[Path], None]
    skipped: str = ""
    refused: str = ""
    limits: Limits = SHARED_LIMITS


def with_member(name: str, data: bytes = GOOD, mode: int = 0, method: int = zipfile.ZIP_DEFLATED):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = method

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("good.png", GOOD)
            archive.writestr(info, data)

    return make


def _with_nul(path: Path) -> None:
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


def _written(offset: int, kind: str, value: int, local: bool = False) -> Change:
    def change(data: bytearray, header: int, entry: int) -> None:
        struct.pack_into(kind, data, (header if local else entry) + offset, value)

    return change


def _encrypted(data: bytearray, header: int, entry: int) -> None:
    data[header + 6] |= 1
    data[entry + 8] |= 1


def _corrupt(data: bytearray, header: int, entry: int) -> None:
    data[header + 50 : header + 60] = bytes(10)


def _not_utf8(data: bytearray, header: int, entry: int) -> None:
    data[entry + 9] |= 0x08  # "this name is UTF-8"
    data[entry + 46] = 0xFF


def _end(kind: str, offset: int, value: int) -> Change:
    """A field in the record that ends a zip."""

    def change(data: bytearray, header: int, entry: int) -> None:
        struct.pack_into(kind, data, data.rindex(b"PK\5\6") + offset, value)

    return change


def _in_list(filler: bytes) -> Callable[[Path], None]:
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


def _raw(before: bytes = b"", after: bytes = b"", keep: slice = slice(None)):
    def make(path: Path) -> None:
        with_member("odd.png")(path)
        path.write_bytes(before + path.read_bytes()[keep] + after)

    return make


def _of(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def _commented(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"PK\5\6" * 16_000
        archive.writestr("good.png", GOOD)
        archive.writestr("odd.png", GOOD)


def _zip64(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", GOOD)
        with archive.open("odd.png", "w", force_zip64=True) as member:
            member.write(GOOD)


def _of_many(names: Callable[[int], str], count: int, data: bytes = b"") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for i in range(count):
                archive.writestr(names(i), data)

    return make


def _overlapping(path: Path) -> None:
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


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", GOOD)
        archive.writestr("./good.png", image(9))


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("good.png")
        info.size = len(GOOD)
        archive.addfile(info, io.BytesIO(GOOD))


def _nested(depth: int) -> bytes:
    data = GOOD
    for _ in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("inner.zip", data)
        data = buffer.getvalue()
    return data


def _deep(i: int) -> str:
    """Names whose folders, all of them together, are 50 times as long."""
    return f"{i}" + "/".join(["x" * 300] * 90) + "/1.png"


NAMES = {
    "an absolute name": (UNSAFE, "/etc/odd.png"),
    "a name that leads out": (UNSAFE, "../odd.png"),
    "a name that leads out further inside": (UNSAFE, "a/../../odd.png"),
    "a name with a backslash": (UNSAFE, "a\\odd.png"),
    "a name that leads out by backslashes": (UNSAFE, "..\\..\\odd.png"),
    "a name with a drive letter": (UNSAFE, "C:/odd.png"),
    "a name of a network share": (UNSAFE, "//server/share/odd.png"),
    "a name 20,000 folders deep": (UNSAFE, "a/" * 20_000 + "odd.png"),
    "a name 100 folders deep": ("", "a/" * 100 + "odd.png"),
    "a name that Windows keeps for a device": ("", "con.png"),
    "a name that ends in dots and spaces": ("", "odd.png. . "),
    "a name that reads from right to left": ("", "odd\u202egnp.exe"),
    "a name that looks like the other one": ("", "g\u043e\u043ed.png"),  # Cyrillic o
    "a name written in another normal form": ("", unicodedata.normalize("NFD", "ödd.png")),
    "a name of pictures": ("", "😀🦄.png"),
    "a name with a line break": ("", "odd\n\r.png"),
    "a name that is a formula": ("", "=cmd|' /C calc'!A1.png"),
    "a name that is a web page": ("", "<img src=x onerror=alert(1)>.png"),
    "a name that is an option": ("", "--output=x.png"),
    "a name with a colour code of terminals": ("", "\x1b[31modd.png"),
    "a name of 5,000 letters": ("", "x" * 5000 + ".png"),
    "a name of percent signs": ("", "%s%n%p{0}${x}.png"),
}

MEMBERS = {
    "a name with a NUL": ZipCase(_with_nul, UNSAFE),
    "a link to a file": ZipCase(
        with_member("odd.png", b"/etc/passwd", stat.S_IFLNK | 0o777), NOT_PLAIN
    ),
    "a link to a folder": ZipCase(with_member("odd", b"/etc", stat.S_IFLNK | 0o777), NOT_PLAIN),
    "a pipe": ZipCase(with_member("odd.png", GOOD, stat.S_IFIFO | 0o600), NOT_PLAIN),
    "a device": ZipCase(with_member("odd.png", GOOD, stat.S_IFBLK | 0o600), NOT_PLAIN),
    "a file for its owner to be (setuid)": ZipCase(
        with_member("odd.png", GOOD, stat.S_IFREG | 0o4777)
    ),
    "1 MB of zeros": ZipCase(
        with_member("odd.bmp", bytes(1_000_000)), "unpacks to more than 100 times its size"
    ),
    "a file packed by bzip2": ZipCase(
        with_member("odd.png", GOOD, 0, zipfile.ZIP_BZIP2), "unusual method"
    ),
    "a file packed by lzma": ZipCase(
        with_member("odd.png", GOOD, 0, zipfile.ZIP_LZMA), "unusual method"
    ),
    "a file packed in a way nobody knows": ZipCase(
        changed(_written(10, "<H", 77)), "unusual method"
    ),
    "an encrypted file": ZipCase(changed(_encrypted), "is encrypted"),
    "a file with a wrong checksum": ZipCase(changed(_written(16, "<I", 1)), DAMAGED_INSIDE),
    "a file with damaged bytes": ZipCase(changed(_corrupt), DAMAGED_INSIDE),
    "a file said to be smaller": ZipCase(changed(_written(24, "<I", 50)), DAMAGED_INSIDE),
    "a file said to be larger": ZipCase(changed(_written(24, "<I", 20_000))),
    "a file said to be 4 GB": ZipCase(changed(_written(24, "<I", 2**32 - 2)), "has more than"),
    "a file that begins elsewhere": ZipCase(changed(_written(42, "<I", 5)), DAMAGED_INSIDE),
    "a file that begins behind the end": ZipCase(
        changed(_written(42, "<I", 2**31)), DAMAGED_INSIDE
    ),
    "a file of another name at its place": ZipCase(
        changed(_written(30, "<I", 0x2E2E2F2E, local=True)), DAMAGED_INSIDE
    ),
    "a file whose name is longer at its place": ZipCase(
        changed(_written(26, "<H", 65_535, local=True)), DAMAGED_INSIDE
    ),
    "a file of 200 MB said to be 50 kB": ZipCase(
        changed(_written(24, "<I", 50_000), bytes(200_000_000)), DAMAGED_INSIDE
    ),
    "a zip inside it": ZipCase(with_member("odd.png", _nested(1)), "is not a PNG"),
    "zips inside zips, 20 deep": ZipCase(with_member("odd.zip", _nested(20)), "is not a PNG"),
    "a file by the name of another": ZipCase(_twice, "has the same name as an earlier file"),
    "a file of sizes of 64 bits": ZipCase(_zip64),
}

WHOLES = {
    "a zip with a comment full of false ends": ZipCase(_commented, refused=DAMAGED_ZIP),
    "a zip behind a program": ZipCase(_raw(before=b"MZ" + bytes(5000))),
    "a zip with noise behind it": ZipCase(_raw(after=bytes(100))),
    "a zip cut in half": ZipCase(_raw(keep=slice(120)), refused=DAMAGED_ZIP),
    "a zip without its end": ZipCase(_raw(keep=slice(-10)), refused=DAMAGED_ZIP),
    "a zip without its beginning": ZipCase(_raw(keep=slice(40, None)), DAMAGED_INSIDE),
    "the first part of a split zip": ZipCase(
        _of(b"PK\7\x08PK\3\4" + bytes(100)), refused=DAMAGED_ZIP
    ),
    "the last part of a split zip": ZipCase(changed(_end("<H", 4, 3)), refused=""),
    "a zip that says it has 65,534 files": ZipCase(changed(_end("<H", 10, 65_534), GOOD)),
    "a zip whose list lies behind its end": ZipCase(
        changed(_end("<I", 16, 2**31), GOOD),
        refused="None of the files can be read as an image",
    ),
    "a zip whose list is said to be 4 GB": ZipCase(
        changed(_end("<I", 12, 2**32 - 2), GOOD), refused=DAMAGED_ZIP
    ),
    "a zip with 30 MB of zeros in its list": ZipCase(_in_list(bytes(30_000_000)), refused=TOO_MANY),
    "a zip with a name that is not UTF-8": ZipCase(changed(_not_utf8, GOOD), refused=DAMAGED_ZIP),
    "a zip with files that overlap": ZipCase(_overlapping, refused=OVERLAP),
    "a zip of 60,000 files": ZipCase(_of_many("{}.png".format, 60_000), refused=TOO_MANY),
    "a zip of 60,000 folders": ZipCase(
        _of_many("{}/".format, 60_000), refused="There is no image in it"
    ),
    "a zip of folders whose names fill the memory": ZipCase(
        _of_many(_deep, 15), refused=TOO_MANY, limits=Limits(members=1000)
    ),
    "an empty zip": ZipCase(_of_many(str, 0), refused="There is no image in it"),
    "a zip of one text": ZipCase(_of_many(str, 1, b"x"), refused="There is no image in it"),
    "a zip of broken images alone": ZipCase(
        _of_many("{}.png".format, 5, b"x"), refused="None of the files can be read as an image"
    ),
    "an empty file called zip": ZipCase(_of(b""), refused=NO_ZIP),
    "a tar called zip": ZipCase(_tar, refused=NO_ZIP),
    "a gzip called zip": ZipCase(_of(b"\x1f\x8b\x08" + bytes(100)), refused=NO_ZIP),
    "a rar called zip": ZipCase(_of(b"Rar!\x1a\7\1\0" + bytes(100)), refused=NO_ZIP),
    "a 7z called zip": ZipCase(_of(b"7z\xbc\xaf\x27\x1c" + bytes(100)), refused=NO_ZIP),
    "an image called zip": ZipCase(_of(GOOD), refused="This is a single image"),
    "an image that is a zip as well": ZipCase(_raw(before=GOOD), refused="This is a single image"),
}

CASES: dict[str, ZipCase] = {
    **{what: ZipCase(with_member(name), reason) for what, (reason, name) in NAMES.items()},
    **MEMBERS,
    **WHOLES,
}
