"""Single files that nobody would want to open, and what becomes of each."""

from __future__ import annotations

import io
import zipfile
import zlib

from PIL import Image

from tests.hostile.image_case import (
    ACCEPTED,
    DAMAGED,
    EMPTY,
    NO_IMAGE,
    NOISE,
    Case,
)
from tests.hostile.image_lies import BOMBS, LIARS
from tests.hostile.making import (
    FORMATS,
    IEND,
    bmp,
    chunk,
    float_tiff,
    ihdr,
    image,
    noisy,
    png,
    saved,
    with_chunks,
    without,
)


def _animated(file_format: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), (level,) * 3) for level in (200, 100, 50)]
    return saved(frames[0], file_format, save_all=True, append_images=frames[1:])


def _deep(channels: int) -> bytes:
    kind, row = {1: (0, b"\x80\x80"), 3: (2, b"\x80\x80" * 3)}[channels]
    rows = zlib.compress((b"\0" + row * 8) * 8)
    return png(ihdr(depth=16, colour=kind), chunk(b"IDAT", rows), IEND)


def _ycck() -> bytes:
    return saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")


def _bare_cmyk() -> bytes:
    whole = _ycck()
    return without(whole, 0xEE)


def _palette_with_transparency() -> bytes:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30] * 256)
    return saved(picture, "PNG", transparency=bytes(range(256)))


def _zip_behind(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.png", image(1))
    return data + buffer.getvalue()


WHOLE = {f: (lambda f=f: noisy(f)) for f in FORMATS}
_KEPT = {  # of a whole file
    "its first 16 bytes": lambda data: data[:16],
    "its first 40 bytes": lambda data: data[:40],
    "its first half": lambda data: data[: len(data) // 2],
    "all but its last tenth": lambda data: data[: -len(data) // 10],
}
CUT = {
    f"a {f} of which only {what} is left": Case(
        lambda f=f, cut=cut: cut(noisy(f)), DAMAGED, f"odd.{f.lower()}"
    )
    for f in FORMATS
    for what, cut in _KEPT.items()
}

STRANGERS = {
    "a file of 0 bytes": Case(lambda: b"", EMPTY),
    "a file of one byte": Case(lambda: b"\x89", NO_IMAGE),
    "a text": Case(lambda: b"remember the milk", NO_IMAGE),
    "a web page with a script": Case(lambda: b"<html><script>alert(1)</script>", NO_IMAGE),
    "an SVG with a script": Case(lambda: b"<svg onload='alert(1)'/>", NO_IMAGE),
    "an SVG with entities that multiply": Case(
        lambda: b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><svg>&b;</svg>", NO_IMAGE
    ),
    "a PDF": Case(lambda: b"%PDF-1.7\n" + NOISE, NO_IMAGE, "odd.jpg"),
    "an EPS, which other readers run": Case(lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", NO_IMAGE),
    "a PSD": Case(lambda: b"8BPS\0\1" + bytes(6) + NOISE, NO_IMAGE),
    "a HEIC": Case(lambda: b"\0\0\0\x18ftypheic" + NOISE, NO_IMAGE),
    "an AVIF": Case(lambda: b"\0\0\0\x18ftypavif" + NOISE, NO_IMAGE),
    "a FITS": Case(lambda: b"SIMPLE  =                    T" + NOISE, NO_IMAGE),
    "a JPEG 2000": Case(lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + NOISE, NO_IMAGE, "odd.jpg"),
    "an icon": Case(lambda: saved(Image.new("RGB", (16, 16)), "ICO"), NO_IMAGE),
    "a program": Case(lambda: b"\x7fELF" + NOISE, NO_IMAGE),
    "a pickle": Case(lambda: b"\x80\x04cos\nsystem\n(S'id'\ntR.", NO_IMAGE),
    "a zip": Case(lambda: _zip_behind(b""), NO_IMAGE),
    "noise": Case(lambda: b"\0" + NOISE, NO_IMAGE),
    "100 kB of zeros": Case(lambda: bytes(100_000), NO_IMAGE),
    **{
        f"noise that begins like a {name}": Case(lambda start=start: start + NOISE, DAMAGED)
        for name, start in {
            "PNG": b"\x89PNG\r\n\x1a\n",
            "JPEG": b"\xff\xd8\xff",
            "WebP": b"RIFF\0\1\0\0WEBP",
            "GIF": b"GIF89a",
            "BMP": b"BM",
            "TIFF": b"II*\0",
            "big TIFF": b"II+\0",
        }.items()
    },
}

UNUSUAL = {
    "a JPEG called .png": Case(lambda: noisy("JPEG"), ACCEPTED),
    "a PNG called .jpg.exe": Case(image, ACCEPTED, "odd.jpg.exe"),
    "a PNG without an extension": Case(image, ACCEPTED, "odd"),
    "a grey PNG of 16 bits": Case(lambda: _deep(1), ACCEPTED),
    "a coloured PNG of 16 bits": Case(lambda: _deep(3), ACCEPTED),
    "a PNG of 1 bit": Case(lambda: saved(Image.new("1", (8, 8), 1), "PNG"), ACCEPTED),
    "a CMYK JPEG with Adobe's mark": Case(_ycck, ACCEPTED, "odd.jpg"),
    "a CMYK JPEG without any mark": Case(_bare_cmyk, ACCEPTED, "odd.jpg"),
    "a PNG with alpha": Case(
        lambda: saved(Image.new("RGBA", (8, 8), (9, 9, 9, 0)), "PNG"), ACCEPTED
    ),
    "a palette with transparency": Case(_palette_with_transparency, ACCEPTED),
    "an interlaced PNG": Case(
        lambda: png(ihdr(interlace=1), chunk(b"IDAT", zlib.compress(bytes(230))), IEND), ACCEPTED
    ),
    **{
        f"an animated {f}": Case(lambda f=f: _animated(f), ACCEPTED) for f in ("GIF", "WEBP", "PNG")
    },
    "a TIFF of three pages": Case(lambda: _animated("TIFF"), ACCEPTED, "odd.tiff"),
    "a progressive JPEG": Case(lambda: noisy("JPEG", progressive=True), ACCEPTED, "odd.jpg"),
    "an image of one pixel": Case(lambda: image(size=(1, 1)), ACCEPTED),
    "an image of 1 x 65,535 pixels": Case(lambda: image(size=(1, 65_535)), ACCEPTED),
    "an image of 65,535 x 1 pixels": Case(lambda: image(size=(65_535, 1)), ACCEPTED),
    "an image all black": Case(lambda: image(0, size=(40, 40)), ACCEPTED),
    "a top-down BMP": Case(lambda: bmp(8, -8), ACCEPTED, "odd.bmp"),
    "a TIFF that is not a number": Case(lambda: float_tiff([float("nan")] * 64), ACCEPTED),
    "a TIFF of infinite light": Case(lambda: float_tiff([float("inf"), -1e38] * 32), ACCEPTED),
    "a TIFF of the largest numbers": Case(lambda: float_tiff([3e38] * 64), ACCEPTED),
}

TWO_IN_ONE = {
    "a PNG that is a zip as well": Case(lambda: _zip_behind(image()), ACCEPTED),
    "a JPEG that is a zip as well": Case(lambda: _zip_behind(noisy("JPEG")), ACCEPTED, "odd.jpg"),
    "a GIF that is a script as well": Case(
        lambda: saved(Image.new("P", (8, 8)), "GIF", comment=b"*/=alert(1)//"), ACCEPTED
    ),
    "a BMP that is a script as well": Case(lambda: bmp(8, 8) + b"*/;alert(1)", ACCEPTED),
    "a PNG with a web page in its text": Case(
        lambda: with_chunks(chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")), ACCEPTED
    ),
    "a PNG with a program behind its end": Case(lambda: image() + b"\x7fELF" + NOISE, ACCEPTED),
}

CASES: dict[str, Case] = {**STRANGERS, **UNUSUAL, **BOMBS, **LIARS, **TWO_IN_ONE, **CUT}
