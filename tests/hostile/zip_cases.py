"""Zips that nobody would want to open, and what becomes of each."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pe_engine.data import SHARED_LIMITS, Limits
from tests.hostile.zip_making import (
    GOOD,
    changed,
    commented,
    corrupt,
    deep,
    encrypted,
    end,
    in_list,
    nested,
    not_utf8,
    of,
    of_many,
    overlapping,
    raw,
    tar,
    twice,
    with_member,
    with_nul,
    written,
    zip64,
)

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
    "a name with a NUL": ZipCase(with_nul, UNSAFE),
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
        changed(written(10, "<H", 77)), "unusual method"
    ),
    "an encrypted file": ZipCase(changed(encrypted), "is encrypted"),
    "a file with a wrong checksum": ZipCase(changed(written(16, "<I", 1)), DAMAGED_INSIDE),
    "a file with damaged bytes": ZipCase(changed(corrupt), DAMAGED_INSIDE),
    "a file said to be smaller": ZipCase(changed(written(24, "<I", 50)), DAMAGED_INSIDE),
    "a file said to be larger": ZipCase(changed(written(24, "<I", 20_000))),
    "a file said to be 4 GB": ZipCase(changed(written(24, "<I", 2**32 - 2)), "has more than"),
    "a file that begins elsewhere": ZipCase(changed(written(42, "<I", 5)), DAMAGED_INSIDE),
    "a file that begins behind the end": ZipCase(changed(written(42, "<I", 2**31)), DAMAGED_INSIDE),
    "a file of another name at its place": ZipCase(
        changed(written(30, "<I", 0x2E2E2F2E, local=True)), DAMAGED_INSIDE
    ),
    "a file whose name is longer at its place": ZipCase(
        changed(written(26, "<H", 65_535, local=True)), DAMAGED_INSIDE
    ),
    "a file of 200 MB said to be 50 kB": ZipCase(
        changed(written(24, "<I", 50_000), bytes(200_000_000)), DAMAGED_INSIDE
    ),
    "a zip inside it": ZipCase(with_member("odd.png", nested(1)), "is not a PNG"),
    "zips inside zips, 20 deep": ZipCase(with_member("odd.zip", nested(20)), "is not a PNG"),
    "a file by the name of another": ZipCase(twice, "has the same name as an earlier file"),
    "a file of sizes of 64 bits": ZipCase(zip64),
}

WHOLES = {
    "a zip with a comment full of false ends": ZipCase(commented, refused=DAMAGED_ZIP),
    "a zip behind a program": ZipCase(raw(before=b"MZ" + bytes(5000))),
    "a zip with noise behind it": ZipCase(raw(after=bytes(100))),
    "a zip cut in half": ZipCase(raw(keep=slice(120)), refused=DAMAGED_ZIP),
    "a zip without its end": ZipCase(raw(keep=slice(-10)), refused=DAMAGED_ZIP),
    "a zip without its beginning": ZipCase(raw(keep=slice(40, None)), DAMAGED_INSIDE),
    "the first part of a split zip": ZipCase(
        of(b"PK\7\x08PK\3\4" + bytes(100)), refused=DAMAGED_ZIP
    ),
    "the last part of a split zip": ZipCase(changed(end("<H", 4, 3)), refused=""),
    "a zip that says it has 65,534 files": ZipCase(changed(end("<H", 10, 65_534), GOOD)),
    "a zip whose list lies behind its end": ZipCase(
        changed(end("<I", 16, 2**31), GOOD),
        refused="None of the files can be read as an image",
    ),
    "a zip whose list is said to be 4 GB": ZipCase(
        changed(end("<I", 12, 2**32 - 2), GOOD), refused=DAMAGED_ZIP
    ),
    "a zip with 30 MB of zeros in its list": ZipCase(in_list(bytes(30_000_000)), refused=TOO_MANY),
    "a zip with a name that is not UTF-8": ZipCase(changed(not_utf8, GOOD), refused=DAMAGED_ZIP),
    "a zip with files that overlap": ZipCase(overlapping, refused=OVERLAP),
    "a zip of 60,000 files": ZipCase(of_many("{}.png".format, 60_000), refused=TOO_MANY),
    "a zip of 60,000 folders": ZipCase(
        of_many("{}/".format, 60_000), refused="There is no image in it"
    ),
    "a zip of folders whose names fill the memory": ZipCase(
        of_many(deep, 15), refused=TOO_MANY, limits=Limits(members=1000)
    ),
    "an empty zip": ZipCase(of_many(str, 0), refused="There is no image in it"),
    "a zip of one text": ZipCase(of_many(str, 1, b"x"), refused="There is no image in it"),
    "a zip of broken images alone": ZipCase(
        of_many("{}.png".format, 5, b"x"), refused="None of the files can be read as an image"
    ),
    "an empty file called zip": ZipCase(of(b""), refused=NO_ZIP),
    "a tar called zip": ZipCase(tar, refused=NO_ZIP),
    "a gzip called zip": ZipCase(of(b"\x1f\x8b\x08" + bytes(100)), refused=NO_ZIP),
    "a rar called zip": ZipCase(of(b"Rar!\x1a\7\1\0" + bytes(100)), refused=NO_ZIP),
    "a 7z called zip": ZipCase(of(b"7z\xbc\xaf\x27\x1c" + bytes(100)), refused=NO_ZIP),
    "an image called zip": ZipCase(of(GOOD), refused="This is a single image"),
    "an image that is a zip as well": ZipCase(raw(before=GOOD), refused="This is a single image"),
}

CASES: dict[str, ZipCase] = {
    **{what: ZipCase(with_member(name), reason) for what, (reason, name) in NAMES.items()},
    **MEMBERS,
    **WHOLES,
}
