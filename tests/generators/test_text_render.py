"""The text simulator: its laws, its fonts, and that a person can read what it draws."""

from __future__ import annotations

import io
import re
import zipfile
from typing import NamedTuple

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import glyphs
from pe_engine.generators.text_render import TextRender
from pe_engine.population import join_rows, take_rows


class Drawn(NamedTuple):
    state: dict[str, np.ndarray]
    images: np.ndarray


@pytest.fixture(scope="module")
def generator() -> TextRender:
    return TextRender(28, "cpu")


def rendered(generator: TextRender, state) -> Drawn:
    return Drawn(state, generator.render(state))


def draw(generator: TextRender, n: int = 64, text: str = "5", seed: int = 0) -> Drawn:
    return rendered(generator, generator.random([text] * n, [""] * n, np.random.default_rng(seed)))


def vary(generator: TextRender, parent: Drawn, degree: float, seed: int = 1) -> Drawn:
    return rendered(generator, generator.vary(parent.state, degree, np.random.default_rng(seed)))


def mean_distance(a: Drawn, b: Drawn) -> float:
    return float(np.abs(a.images[..., 0].astype(float) - b.images[..., 0]).mean())


def test_random_keeps_the_contract(generator):
    drawn = draw(generator, 10)
    assert drawn.images.shape == (10, 28, 28, 3)
    assert drawn.images.dtype == np.uint8
    assert (drawn.images == drawn.images[..., :1]).all()
    assert all(len(array) == 10 for array in drawn.state.values())


def test_the_same_seed_gives_the_same_pixels():
    for degree in (0.3, 1.0):
        first, second = (
            vary(g, draw(g), degree) for g in (TextRender(28, "cpu"), TextRender(28, "cpu"))
        )
        assert np.array_equal(first.images, second.images)


def test_another_seed_gives_other_pixels(generator):
    assert not np.array_equal(draw(generator, seed=1).images, draw(generator, seed=2).images)


def test_a_row_does_not_depend_on_its_batch(generator):
    state = join_rows([draw(generator, 600, "7").state, draw(generator, 601, "8").state])
    whole = generator.render(state)
    for rows in ([0], [1200], range(590, 610), range(3, 1201, 7), range(1200, -1, -1)):
        part = take_rows(state, np.array(rows))
        assert np.array_equal(generator.render(part), whole[np.array(rows)])


def test_degree_zero_changes_nothing(generator):
    parent = draw(generator)
    child = vary(generator, parent, 0.0, 1)
    assert np.array_equal(child.images, parent.images)
    assert all(np.array_equal(child.state[name], parent.state[name]) for name in parent.state)


def test_degree_one_forgets_the_parent(generator):
    parent = draw(generator, 4000)
    child = vary(generator, parent, 1.0, 1)
    fonts = len(glyphs.font_files("all"))
    same = (child.state["font"] == parent.state["font"]).mean()
    assert same < 3 / fonts
    for column in range(parent.state["params"].shape[1]):
        pair = parent.state["params"][:, column], child.state["params"][:, column]
        assert abs(np.corrcoef(*pair)[0, 1]) < 0.08
        assert np.allclose(pair[0].std(), pair[1].std(), rtol=0.1)


def test_a_larger_degree_changes_more(generator):
    parent = draw(generator, 500)
    distances = [
        mean_distance(parent, vary(generator, parent, degree)) for degree in (0.0, 0.1, 0.5, 1.0)
    ]
    assert distances[0] == 0
    assert distances[1] < 0.7 * distances[2] < 0.7 * distances[3]


def test_a_variation_stays_within_reach_and_range(generator):
    parent = draw(generator, 500)
    everything = draw(generator, 20_000).state["params"]
    low, high = everything.min(0), everything.max(0)
    reach = 0.2 * (high - low) * 1.01
    for _ in range(3):
        child = vary(generator, parent, 0.2, 3)
        assert (np.abs(child.state["params"] - parent.state["params"]) <= reach).all()
        parent = child
    slack = 0.01 * (high - low)
    assert (parent.state["params"] >= low - slack).all()
    assert (parent.state["params"] <= high + slack).all()
    changed = vary(generator, parent, 0.2, 4).state["font"]
    assert 0.1 < (changed != parent.state["font"]).mean() < 0.3


def test_digits_drawn_in_one_half_of_the_fonts_are_read_by_the_other_half():
    steady = TextRender(28, "cpu", rotation=0.0, wobble=0.0)
    parts = [draw(steady, 400, str(d), seed=d).state for d in range(10)]
    drawn = rendered(steady, join_rows(parts))
    digits = np.repeat(np.arange(10), 400)
    pixels = drawn.images[..., 0].reshape(4000, -1) / 255
    known = drawn.state["font"] % 2 == 0
    a, b = pixels[~known], pixels[known]
    nearest = ((b**2).sum(1) - 2 * a @ b.T).argmin(1)
    right = digits[known][nearest] == digits[~known]
    assert right.mean() > 0.6
    assert min(right[digits[~known] == d].mean() for d in range(10)) > 0.3


def test_real_handwriting_looks_most_like_the_same_digit_drawn(generator):
    """Upright, not mirrored, light on dark and of about the right size, that is."""
    with zipfile.ZipFile(glyphs.FONT_FOLDER.parent / "examples" / "handwriting.zip") as archive:
        names = sorted(archive.namelist())[::10]
        real = np.stack([np.array(Image.open(archive.open(name))) for name in names])
    labels = np.array([int(name[0]) for name in names])
    drawn = [draw(generator, 600, str(d), seed=d).images[..., 0] for d in range(10)]
    a, b = (x.reshape(len(x), -1) / 255 for x in (real, np.concatenate(drawn)))
    nearest = ((b**2).sum(1) - 2 * a @ b.T).argmin(1) // 600
    assert (nearest == labels).mean() > 0.6


def test_the_prompt_wins_over_the_class_name(generator):
    rng = np.random.default_rng(0)
    assert generator.random(["cat"] * 3, [" A "] * 3, rng)["text"].tolist() == ["A"] * 3
    assert generator.random(["cat"] * 3, [""] * 3, rng)["text"].tolist() == ["cat"] * 3


def test_white_space_is_one_space_and_lines_break_at_spaces(generator):
    drawn = generator.random([""] * 2, ["two\n\twords "] * 2, np.random.default_rng(0))
    assert drawn["text"][0] == "two words"
    assert glyphs.wrap("two words") == ["two", "words"]
    assert glyphs.wrap("unbreakable") == ["unbreakable"]


@pytest.mark.parametrize("nothing", ["", "  \n"])
def test_no_text_asks_for_a_prompt(generator, nothing):
    with pytest.raises(GeneratorError, match="Give a prompt"):
        generator.random([""], [nothing], np.random.default_rng(0))


@pytest.mark.parametrize("character", ["😀", "漢", "\x07", "\ue000"])
def test_a_character_that_no_font_holds_is_named(generator, character):
    with pytest.raises(GeneratorError, match=f"U\\+{ord(character):04X}"):
        generator.random([f"A{character}"], [""], np.random.default_rng(0))


def test_a_long_text_is_drawn_up_to_the_bound(generator):
    longest = "the quick brown fox jumps over a"
    assert len(longest) == glyphs.MAX_TEXT
    images = draw(TextRender(128, "cpu"), 20, longest).images[..., 0]
    assert (images.max((1, 2)) > 100).all()
    at_border = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)], 1)
    assert (at_border > 100).mean() < 0.05
    with pytest.raises(GeneratorError, match="at most 32"):
        draw(generator, 1, longest + "b")


def test_fonts_hold_the_characters_they_are_used_for():
    """The check by pixels agrees with the fonts' own tables of characters."""
    files = glyphs.font_files("all")
    atlas = glyphs.GlyphAtlas(files, 48, "cpu")
    tables = [TTFont(file).getBestCmap() for file in files]
    for text in ("7", "é", "ß€", "–", "ʼ", "÷"):
        expected = [i for i, t in enumerate(tables) if all(ord(c) in t for c in text)]
        assert atlas.fonts_for(text).tolist() == expected, text


def test_variations_use_only_fonts_that_hold_the_text(generator):
    text = "ʼ"
    fitting = generator.atlas.fonts_for(text)
    assert 0 < len(fitting) < len(generator.atlas.files)
    child = vary(generator, draw(generator, 200, text), 1.0)
    assert set(child.state["font"]) <= set(fitting)


def test_the_state_survives_a_file_without_pickle(generator):
    parts = [draw(generator, 3, "A").state, draw(generator, 3, "two words").state]
    parent = rendered(generator, join_rows(parts))
    file = io.BytesIO()
    np.savez(file, **parent.state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        read = Drawn({name: loaded[name] for name in loaded.files}, parent.images)
    first, second = (vary(generator, p, 0.5) for p in (parent, read))
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(TextRender(28, "cpu").render(read.state), parent.images)


def test_prompts_and_classes_are_drawn_row_by_row(generator):
    rng = np.random.default_rng(0)
    state = generator.random(["a", "b", "b"], ["", "x", ""], rng)
    assert state["text"].tolist() == ["a", "x", "b"]


@pytest.mark.parametrize("size", [8, 13, 50, 200])
def test_odd_image_sizes_show_the_same_drawing(size, generator):
    other = TextRender(size, "cpu")
    assert draw(other, 2).images.shape == (2, size, size, 3)
    small, large = (draw(g, 100).images[..., 0].mean((1, 2)) for g in (generator, other))
    assert np.corrcoef(small, large)[0, 1] > 0.9


def test_dark_ink_is_light_ink_inverted(generator):
    dark = draw(TextRender(28, "cpu", ink="dark"))
    assert np.array_equal(255 - dark.images, draw(generator).images)


def test_no_drawing_is_empty_or_full(generator):
    for text in ("0", "1", "W", ".", "a"):
        share = draw(generator, 1000, text).images[..., 0].mean((1, 2)) / 255
        assert share.min() > 0.001, text
        assert share.max() < 0.7, text


@pytest.mark.parametrize(
    "options",
    [{"ink": "red"}, {"fonts": "Arial"}, {"rotation": -1.0}, {"wobble": float("nan")}],
)
def test_a_bad_option_is_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        TextRender(28, "cpu", **options)


def test_no_rotation_and_no_wobble_are_possible():
    still = draw(TextRender(28, "cpu", rotation=0.0, wobble=0.0))
    assert still.images.max() == 255


def test_there_are_sixty_fonts_and_half_are_handwriting():
    fonts, handwriting = glyphs.font_files("all"), glyphs.font_files("handwriting")
    assert len(fonts) >= 60
    assert 2 * len(handwriting) >= len(fonts)
    assert len(handwriting) + len(glyphs.font_files("print")) == len(fonts)
    assert str(len(fonts)) in TextRender.summary


def test_every_font_has_its_licence_listed():
    assets = glyphs.FONT_FOLDER.parent
    section = (assets / "LICENSES.md").read_text("utf-8").split("## fonts/")[1].split("\n## ")[0]
    row = r"^\| (\S+\.woff2) \| [^|]+ \| Copyright [^|]+ \|.*\| OFL-1\.1 \|$"
    listed = re.findall(row, section, re.MULTILINE)
    assert sorted(listed) == [file.name for file in glyphs.font_files("all")]
    assert "SIL OPEN FONT LICENSE Version 1.1" in (glyphs.FONT_FOLDER / "OFL.txt").read_text(
        "utf-8"
    )
