"""Any image becomes uint8 RGB of one size without losing what it shows."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pe_engine.images import contact_sheet, png_bytes
from pe_engine.images import to_uint8 as pixels_of
from pe_engine.population import three_channels

RED, WHITE = (255, 0, 0), (255, 255, 255)


def to_uint8(image, size):
    """What a batch makes of the pixels: always three channels."""
    return three_channels(pixels_of(image, size)[None])[0]


def solid(mode: str, colour, size=(8, 8)) -> Image.Image:
    return Image.new(mode, size, colour)


def palette(transparency=None) -> Image.Image:
    image = solid("P", 1)
    image.putpalette([0, 0, 0, *RED])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(solid("RGB", (1, 2, 3)), (1, 2, 3), id="rgb"),
        pytest.param(solid("L", 77), (77,) * 3, id="grey"),
        pytest.param(solid("1", 1), WHITE, id="1-bit"),
        pytest.param(solid("I;16", 128 * 257), (128,) * 3, id="16-bit"),
        pytest.param(solid("I;16", 65_535), WHITE, id="16-bit-white"),
        pytest.param(solid("I;16B", 128 * 257), (128,) * 3, id="16-bit-big-endian"),
        pytest.param(solid("I", 128 * 257), (128,) * 3, id="32-bit"),
        pytest.param(solid("I", -5), (0,) * 3, id="32-bit-negative"),
        pytest.param(solid("F", 0.5), (128,) * 3, id="float-unit"),
        pytest.param(solid("F", 100.2), (100,) * 3, id="float-255"),
        pytest.param(solid("F", float("nan")), (0,) * 3, id="float-nan"),
        pytest.param(solid("CMYK", (0, 255, 255, 0)), RED, id="cmyk"),
        pytest.param(solid("YCbCr", (76, 85, 255)), (254, 0, 0), id="ycbcr"),
        pytest.param(solid("LAB", (128, 128, 128)), (119,) * 3, id="lab"),
        pytest.param(palette(), RED, id="palette"),
        pytest.param(palette(transparency=1), WHITE, id="palette-transparent-colour"),
        pytest.param(palette(transparency=b"\xff\x80"), (255, 127, 127), id="palette-alpha"),
        pytest.param(solid("RGBA", (*RED, 0)), WHITE, id="rgba-transparent"),
        pytest.param(solid("RGBA", (*RED, 128)), (255, 127, 127), id="rgba-half"),
        pytest.param(solid("RGBA", (*RED, 255)), RED, id="rgba-opaque"),
        pytest.param(solid("LA", (0, 0)), WHITE, id="la-transparent"),
    ],
)
@pytest.mark.parametrize("size", [8, 5])
def test_every_mode_becomes_rgb(image: Image.Image, expected: tuple, size: int) -> None:
    pixels = to_uint8(image, size)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (size, size, 3)
    np.testing.assert_array_equal(pixels, np.broadcast_to(expected, pixels.shape))


def test_transparent_grey_value_of_16_bits_is_white() -> None:
    image = solid("I;16", 1000)
    image.putpixel((0, 0), 128 * 257)
    image.info["transparency"] = 1000
    pixels = to_uint8(image, 8)
    assert tuple(pixels[0, 0]) == (128,) * 3
    assert (pixels[1:] == 255).all()


def test_pixels_of_the_right_size_are_untouched() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(Image.fromarray(noise), 16), noise)


def test_short_side_of_the_right_size_is_only_cropped() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(Image.fromarray(noise), 16), noise[:, 7:23])


def test_only_cropped_pixels_under_transparency_are_untouched_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 30, 4), dtype=np.uint8)
    cut = to_uint8(Image.fromarray(noise[:, 7:23].copy()), 16)
    np.testing.assert_array_equal(to_uint8(Image.fromarray(noise), 16), cut)


def test_centre_square_is_kept_as_if_resized_first_and_cropped_then() -> None:
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8))
    resized = np.asarray(wide.resize((30, 10), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(to_uint8(wide, 10), resized[:, 10:20])


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    inner = to_uint8(Image.fromarray(stripes), 8)[:, 2:-2]
    assert np.abs(inner.astype(int) - 127).max() < 10


def test_transparent_pixels_do_not_bleed_into_their_neighbours() -> None:
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    image.paste((*RED, 255), (0, 0, 32, 64))
    pixels = to_uint8(image, 8)
    assert (pixels[..., 1] == pixels[..., 2]).all()  # green under full transparency is not seen


@pytest.mark.parametrize("shape", [(1, 65_535), (65_535, 1)])
def test_thin_image_stays_small(shape: tuple[int, int]) -> None:
    assert (to_uint8(Image.new("L", shape, 9), 28) == 9).all()


# Where the top left corner of the stored image belongs, for each value of the EXIF orientation.
CORNERS = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1)}
CORNERS[8] = (-1, 0)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", CORNERS)
def test_exif_orientation_is_applied(orientation: int, file_format: str) -> None:
    stored = Image.new("L", (32, 32))
    stored.paste(255, (0, 0, 16, 16))
    stored.paste(128, (16, 0, 32, 16))  # right of the corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.convert("RGB").save(buffer, file_format, exif=exif)
    shown = to_uint8(Image.open(buffer), 32)[4::24, 4::24, 0]  # the four quarters
    corner = CORNERS[orientation]
    sideways = orientation >= 5
    neighbour = (~corner[0], corner[1]) if sideways else (corner[0], ~corner[1])
    assert shown[corner] > 230
    assert 100 < shown[neighbour] < 160
    assert (shown < 30).sum() == 2


def test_broken_exif_does_not_lose_the_image() -> None:
    buffer = io.BytesIO()
    solid("RGB", RED).save(buffer, "PNG", exif=b"Exif\0\0not a header of EXIF")
    np.testing.assert_array_equal(to_uint8(Image.open(buffer), 8)[0, 0], RED)


def test_contact_sheet_places_images_row_by_row() -> None:
    images = np.stack([np.full((2, 3, 3), 10 * i, np.uint8) for i in range(5)])
    sheet = contact_sheet(images, columns=3, scale=2, gap=1, background=200)
    assert sheet.shape == (2 * (4 + 1) + 1, 3 * (6 + 1) + 1, 3)
    for i in range(5):
        row, column = divmod(i, 3)
        cell = sheet[1 + 5 * row : 5 + 5 * row, 1 + 7 * column : 7 + 7 * column]
        assert (cell == 10 * i).all()
    assert (sheet[0] == 200).all()
    assert (sheet[:, 0] == 200).all()
    assert (sheet[6:, 15:] == 200).all()


def test_contact_sheet_is_no_wider_than_its_images() -> None:
    assert contact_sheet(np.zeros((2, 4, 4, 3), np.uint8), columns=10, gap=0).shape == (4, 8, 3)


@pytest.mark.parametrize(("shape", "mode"), [((7, 5, 3), "RGB"), ((7, 5, 1), "L")])
def test_png_bytes_keep_the_pixels_and_nothing_else(shape: tuple, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = png_bytes(pixels)
    image = Image.open(io.BytesIO(data))
    assert image.mode == mode
    assert not image.info
    np.testing.assert_array_equal(np.asarray(image).reshape(shape), pixels)
    assert png_bytes(pixels.copy()) == data


def test_plain_grey_stays_one_channel():
    assert pixels_of(Image.new("L", (9, 9)), 5).shape == (5, 5, 1)
    assert pixels_of(Image.new("LA", (9, 9)), 5).shape == (5, 5, 3)
    assert pixels_of(Image.new("RGB", (9, 9)), 5).shape == (5, 5, 3)
