"""Images, folders and zips, sound or not, for the cases in this folder."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
Files = Mapping[str, bytes]


def image(level: int = 100, file_format: str = "PNG", size=(8, 8), **options) -> bytes:
    return saved(Image.new("RGB", size, (level,) * 3), file_format, **options)


def saved(picture: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def noisy(file_format: str, size=(64, 48), **options) -> bytes:
    """An image that does not pack well, so that its bytes are mostly pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return saved(Image.fromarray(pixels), file_format, **options)


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


# --- PNG ----------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes = b"", checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + content)
    end = struct.pack(">I", right if checksum is None else checksum)
    return struct.pack(">I", len(content)) + kind + content + end


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def ihdr(width=8, height=8, depth=8, colour=2, interlace=0, checksum: int | None = None) -> bytes:
    told = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return chunk(b"IHDR", told, checksum)


def idat(width=8, height=8, channels=3, level=100) -> bytes:
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes([level]) * width * channels) * height))


IEND = chunk(b"IEND")


def with_chunks(*chunks: bytes) -> bytes:
    """A sound image with these chunks before its pixels."""
    return png(ihdr(), *chunks, idat(), IEND)


# --- TIFF ---------------------------------------------------------------------------------------

SHORT, LONG, FLOAT = 3, 4, 11
_PACKED = {SHORT: "<H", LONG: "<I"}


def tiff(tags: Mapping[int, tuple[int, int, int]], pixels: bytes, following: int = 0) -> bytes:
    """A TIFF of one IFD.

    Args:
        tags: by number: type, count, and the value or offset.
        pixels: lie at byte 8.
        following: where the next IFD is said to be.
    """
    body = struct.pack("<H", len(tags))
    for tag, (kind, count, value) in sorted(tags.items()):
        body += struct.pack("<HHII", tag, kind, count, value)
    body += struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + body


def tiff_tags(width=8, height=8, **changed) -> dict[int, tuple[int, int, int]]:
    """Of an uncompressed grey image of 8 bits; ``changed`` by tag as t258=..."""
    tags = {
        256: (LONG, 1, width),
        257: (LONG, 1, height),
        258: (SHORT, 1, 8),
        259: (SHORT, 1, 1),
        262: (SHORT, 1, 1),
        273: (LONG, 1, 8),
        277: (SHORT, 1, 1),
        278: (LONG, 1, height),
        279: (LONG, 1, width * height),
    }
    return tags | {int(name[1:]): value for name, value in changed.items()}


def grey_tiff(following: int = 0, **changed) -> bytes:
    return tiff(tiff_tags(**changed), bytes([100]) * 64, following)


def float_tiff(values: Iterable[float]) -> bytes:
    pixels = np.array(list(values), "<f4").tobytes()
    side = int((len(pixels) // 4) ** 0.5)
    changed = {"t258": (SHORT, 1, 32), "t279": (LONG, 1, len(pixels)), "t339": (SHORT, 1, 3)}
    return tiff(tiff_tags(side, side, **changed), pixels)


# --- JPEG and others ----------------------------------------------------------------------------


def with_segment(marker: int, content: bytes) -> bytes:
    """A sound JPEG with this segment after its start."""
    whole = noisy("JPEG")
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    return whole[:2] + segment + whole[2:]


def exif(orientation: int, following: int = 0, count: int = 1) -> bytes:
    entry = struct.pack("<HHII", 0x0112, SHORT, count, orientation)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", following)


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG that paints all its pixels again ``scans`` times, by 10 bytes each."""
    whole = saved(Image.new("L", (width, height), 128), "JPEG", progressive=True)
    start = whole.index(b"\xff\xda")
    first = whole[start : whole.index(b"\xff", start + 10)]
    refined = whole[start:-2]
    last = refined[refined.rindex(b"\xff\xda") :]
    assert first
    return whole[:-2] + last * scans + b"\xff\xd9"


def without(data: bytes, marker: int) -> bytes:
    """A JPEG without its segments of this kind."""
    while (at := data.find(bytes([0xFF, marker]))) >= 0:
        data = data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]
    return data


def riff(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    body = b"WEBP" + kind + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def gif(width: int, height: int, body: bytes) -> bytes:
    """A GIF of two colours with this after its header."""
    header = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return b"GIF89a" + header + bytes([0, 0, 0, 255, 255, 255]) + body


def bmp(width: int, height: int, depth: int = 24, pixels: bytes | None = None, packing=0) -> bytes:
    rows = bytes(abs(height) * -(-width * depth // 32) * 4) if pixels is None else pixels
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, packing, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + info + rows
