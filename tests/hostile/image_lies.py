"""Files that ask for more than they are, and files that lie about themselves."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from tests.hostile.image_case import (
    ACCEPTED,
    DAMAGED,
    NOISE,
    SLOW,
    TOO_LARGE,
    Case,
)
from tests.hostile.making import (
    IEND,
    LONG,
    SHORT,
    bmp,
    chunk,
    exif,
    gif,
    grey_tiff,
    idat,
    ihdr,
    image,
    many_scans,
    noisy,
    png,
    riff,
    saved,
    tiff,
    tiff_tags,
    with_chunks,
    with_segment,
    without,
)


def _promised(width: int, height: int) -> bytes:
    return png(ihdr(width, height), idat(), IEND)


def _vp8x(width: int, height: int) -> bytes:
    frames = [Image.new("RGB", (8, 8), (i,) * 3) for i in (9, 200)]
    data = bytearray(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _jpeg_of_size(width: int, height: int) -> bytes:
    whole = noisy("JPEG")
    return _patched(whole, whole.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def _text_bomb(kind: bytes) -> bytes:
    packed = zlib.compress(bytes(50_000_000), 9)
    head = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"icc\0\0"}[kind]
    return with_chunks(chunk(kind, head + packed))


def _raw_text() -> bytes:
    return with_chunks(*(chunk(b"tEXt", b"k%d\0" % i + b"x" * 1_000_000) for i in range(70)))


def _apng(frames: int, offset: int = 0) -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 8, 8, offset, 0, 1, 1, 0, 0)
    return with_chunks(chunk(b"acTL", struct.pack(">II", frames, 0)), chunk(b"fcTL", control))


def _tiff_packed(packing: int, pixels: bytes, **changed) -> bytes:
    tags = {"t259": (SHORT, 1, packing), "t279": (LONG, 1, len(pixels))} | changed
    return tiff(tiff_tags(**tags), pixels)


def _jpeg_exif(content: bytes) -> bytes:
    return with_segment(0xE1, content)


BOMBS = {
    "a PNG of 30,000 x 30,000 pixels": Case(lambda: _promised(30_000, 30_000), TOO_LARGE),
    "a PNG of 2,147,483,647 x 1 pixels": Case(lambda: _promised(2**31 - 1, 1), TOO_LARGE),
    "a PNG of 5,001 x 5,000 pixels": Case(lambda: _promised(5001, 5000), TOO_LARGE),
    "a PNG of 25 million pixels that are really there": Case(
        lambda: saved(Image.new("L", (5000, 5000)), "PNG"), ACCEPTED
    ),
    "a PNG of 5,000 x 5,000 pixels without any": Case(lambda: _promised(5000, 5000), DAMAGED),
    "a GIF of 65,535 x 65,535 pixels": Case(
        lambda: _patched(image(file_format="GIF"), 6, b"\xff" * 4), TOO_LARGE
    ),
    "a GIF whose frame is larger than itself": Case(
        lambda: gif(8, 8, b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\2\2L\1\0;"),
        DAMAGED,
    ),
    "a WebP of 16,384 x 16,384 pixels": Case(lambda: _vp8x(16_384, 16_384), TOO_LARGE),
    "a lossless WebP of 16,384 x 16,384 pixels": Case(
        lambda: riff(b"VP8L", b"\x2f\xff\xff\xff\x0f" + NOISE), TOO_LARGE
    ),
    "a lossy WebP of 16,383 x 16,383 pixels": Case(
        lambda: riff(b"VP8 ", b"\x10\2\0\x9d\1\x2a\xff\x3f\xff\x3f" + NOISE), TOO_LARGE
    ),
    "a BMP of 2 billion pixels": Case(lambda: bmp(2**16, 2**15, pixels=b""), TOO_LARGE),
    "a BMP of negative width": Case(lambda: bmp(-8, 8, pixels=bytes(200)), TOO_LARGE),
    "a JPEG of 65,500 x 65,500 pixels": Case(lambda: _jpeg_of_size(65_500, 65_500), TOO_LARGE),
    "a TIFF of 4 billion x 4 billion pixels": Case(
        lambda: grey_tiff(t256=(LONG, 1, 2**32 - 1), t257=(LONG, 1, 2**32 - 1)), TOO_LARGE
    ),
    "a TIFF with a tile of a billion pixels": Case(
        lambda: grey_tiff(
            t259=(SHORT, 1, 8),
            t322=(LONG, 1, 32_768),
            t323=(LONG, 1, 32_768),
            t324=(LONG, 1, 8),
            t325=(LONG, 1, 64),
        ),
        DAMAGED,
    ),
    "a TIFF whose strip is said to hold 4 GB": Case(
        lambda: grey_tiff(t279=(LONG, 1, 2**32 - 1)), ACCEPTED
    ),
    "a packed TIFF whose strip is said to hold 4 GB": Case(
        lambda: grey_tiff(t259=(SHORT, 1, 8), t279=(LONG, 1, 2**32 - 1)), DAMAGED
    ),
    "a PNG with 50 MB of packed text": Case(lambda: _text_bomb(b"zTXt"), DAMAGED),
    "a PNG with 50 MB of packed international text": Case(lambda: _text_bomb(b"iTXt"), DAMAGED),
    "a PNG with 50 MB of packed colour profile": Case(lambda: _text_bomb(b"iCCP"), DAMAGED),
    "a PNG with 70 MB of text": Case(_raw_text, DAMAGED),
    "a PNG whose chunk is said to hold 2 GB": Case(
        lambda: png(ihdr(), struct.pack(">I", 2**31 - 1) + b"tEXt" + b"x" * 100), DAMAGED
    ),
    "a JPEG of 5,000 x 5,000 pixels painted 3,000 times": Case(
        lambda: many_scans(5000, 5000, 3000), SLOW, "odd.jpg"
    ),
}

LIARS = {
    "a PNG of no width": Case(lambda: _promised(0, 8), DAMAGED),
    "a PNG of no size": Case(lambda: _promised(0, 0), DAMAGED),
    "a BMP of no height": Case(lambda: bmp(8, 0), DAMAGED, "odd.bmp"),
    "a GIF of no size": Case(lambda: gif(0, 0, b";"), DAMAGED),
    "a PNG with fewer pixels than it says": Case(lambda: png(ihdr(64, 64), idat(), IEND), DAMAGED),
    "a PNG with more pixels than it says": Case(lambda: png(ihdr(), idat(64, 64), IEND), DAMAGED),
    "a PNG with a wrong checksum in its header": Case(
        lambda: png(ihdr(checksum=1), idat(), IEND), DAMAGED
    ),
    "a PNG with a wrong checksum on its pixels": Case(
        lambda: png(ihdr(), _patched(idat(), len(idat()) - 4, bytes(4)), IEND), ACCEPTED
    ),
    "a PNG without an end": Case(lambda: png(ihdr(), idat()), ACCEPTED),
    "a PNG without pixels": Case(lambda: png(ihdr(), IEND), DAMAGED),
    "a PNG with two headers": Case(lambda: png(ihdr(), ihdr(9000, 9000), idat(), IEND), TOO_LARGE),
    "a PNG of 3 bits": Case(lambda: png(ihdr(depth=3), idat(), IEND), DAMAGED),
    "a PNG with a palette that is missing": Case(
        lambda: png(ihdr(colour=3), idat(channels=1), IEND), ACCEPTED
    ),
    "a PNG whose pixels are no zlib": Case(
        lambda: png(ihdr(), chunk(b"IDAT", NOISE), IEND), DAMAGED
    ),
    "a PNG that says it has 4 billion frames": Case(lambda: _apng(2**32 - 1), ACCEPTED),
    "a PNG whose frame lies outside": Case(lambda: _apng(2, 2**31), DAMAGED),
    "a PNG of the private kind of phones": Case(
        lambda: png(chunk(b"CgBI", bytes(4)), ihdr(), idat(), IEND), ACCEPTED
    ),
    "a TIFF whose next page is itself": Case(
        lambda: grey_tiff(following=8 + 64), ACCEPTED, "odd.tif"
    ),
    "a TIFF whose pixels lie behind its end": Case(
        lambda: grey_tiff(t273=(LONG, 1, 10**9)), DAMAGED, "odd.tif"
    ),
    "a TIFF with 4 billion offsets": Case(
        lambda: grey_tiff(t273=(LONG, 2**32 - 1, 8)), DAMAGED, "odd.tif"
    ),
    "a TIFF with 65,535 samples per pixel": Case(
        lambda: grey_tiff(t277=(SHORT, 1, 65_535)), DAMAGED, "odd.tif"
    ),
    "a TIFF with strips of no rows": Case(lambda: grey_tiff(t278=(LONG, 1, 0)), DAMAGED, "odd.tif"),
    "a TIFF packed in a way nobody knows": Case(
        lambda: grey_tiff(t259=(SHORT, 1, 60_000)), DAMAGED, "odd.tif"
    ),
    "a TIFF whose packed strip is noise": Case(
        lambda: _tiff_packed(5, NOISE[:64]), DAMAGED, "odd.tif"
    ),
    "a TIFF with a JPEG inside that is none": Case(
        lambda: _tiff_packed(7, NOISE[:64]), DAMAGED, "odd.tif"
    ),
    "a TIFF whose list of tags is a loop of pointers": Case(
        lambda: grey_tiff(t330=(LONG, 1, 8 + 64), t34665=(LONG, 1, 8 + 64)), ACCEPTED, "odd.tif"
    ),
    "a JPEG without tables": Case(lambda: without(noisy("JPEG"), 0xDB), DAMAGED, "odd.jpg"),
    "a JPEG of arithmetic coding that has none": Case(
        lambda: noisy("JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1), ACCEPTED, "odd.jpg"
    ),
    "a JPEG of 12 bits": Case(
        lambda: _patched(noisy("JPEG"), noisy("JPEG").index(b"\xff\xc0") + 4, b"\x0c"),
        DAMAGED,
        "odd.jpg",
    ),
    "a JPEG whose segment is longer than the file": Case(
        lambda: b"\xff\xd8\xff\xe1\xff\xff" + NOISE[:50], DAMAGED, "odd.jpg"
    ),
    "a JPEG of nothing but fill bytes": Case(
        lambda: b"\xff\xd8" + b"\xff" * 200_000, DAMAGED, "odd.jpg"
    ),
    "a JPEG whose notes say it lies in a way nobody knows": Case(
        lambda: _jpeg_exif(exif(65_535)), ACCEPTED, "odd.jpg"
    ),
    "a JPEG whose notes point at themselves": Case(
        lambda: _jpeg_exif(exif(6, following=8)), ACCEPTED, "odd.jpg"
    ),
    "a JPEG whose notes have 4 billion values": Case(
        lambda: _jpeg_exif(exif(6, count=2**32 - 1)), ACCEPTED, "odd.jpg"
    ),
    "a JPEG whose notes are noise": Case(
        lambda: _jpeg_exif(b"Exif\0\0" + NOISE), ACCEPTED, "odd.jpg"
    ),
    "a JPEG with 250 pieces of colour profile": Case(
        lambda: with_segment(0xE2, b"ICC_PROFILE\0\1\xfa" + b"x" * 60_000), ACCEPTED, "odd.jpg"
    ),
    "a JPEG with 16,000 comments": Case(
        lambda: noisy("JPEG")[:2] + b"\xff\xfe\0\x04hi" * 16_000 + noisy("JPEG")[2:],
        ACCEPTED,
        "odd.jpg",
    ),
    "a PNG with 20,000 empty chunks": Case(
        lambda: with_chunks(*[chunk(b"abCd")] * 20_000), ACCEPTED
    ),
    "a WebP that says it is 4 GB long": Case(
        lambda: _patched(noisy("WEBP"), 4, b"\xff" * 4), DAMAGED, "odd.webp"
    ),
    "a WebP without a frame": Case(
        lambda: riff(b"VP8X", bytes(4) + b"\7\0\0\7\0\0"), DAMAGED, "odd.webp"
    ),
    "a GIF without a frame": Case(lambda: gif(8, 8, b";"), DAMAGED, "odd.gif"),
    "a GIF with a code size of 255": Case(
        lambda: gif(8, 8, b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\xff\2L\1\0;"),
        DAMAGED,
        "odd.gif",
    ),
    "a GIF of 100,000 comments": Case(
        lambda: gif(8, 8, b"!\xfe\1x\0" * 100_000 + b";"), DAMAGED, "odd.gif"
    ),
    "a BMP of 7 bits": Case(lambda: bmp(8, 8, depth=7), DAMAGED, "odd.bmp"),
    "a BMP packed by runs that never end": Case(
        lambda: bmp(8, 8, depth=8, pixels=b"\0\2\xff\xff" * 1000, packing=1), ACCEPTED, "odd.bmp"
    ),
    "a BMP with fewer pixels than it says": Case(
        lambda: bmp(64, 64, pixels=bytes(50)), DAMAGED, "odd.bmp"
    ),
}
