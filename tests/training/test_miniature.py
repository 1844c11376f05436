"""The bundled miniature: what it is made of, and that it writes what it is asked for."""

import json

import numpy as np
import pytest

from pe_engine.generators.miniature import CHARACTERS, DIGITS, MINIATURE, plain_caption
from pe_engine.generators.stable_diffusion import StableDiffusion
from pe_engine.generators.transfer import to_uint8
from pe_engine.training.captions import TWINS, Look, caption, twin
from pe_engine.training.renderings import Renderings, split_fonts


@pytest.fixture(scope="module")
def generator():
    return StableDiffusion(32, "cpu")


def grey(generator, captions, seed=0):
    state = generator.random([""] * len(captions), captions, np.random.default_rng(seed))
    return to_uint8(generator.render(state)).mean(-1)


def features(pixels):
    return pixels.reshape(len(pixels), -1) / 255


def test_it_is_a_small_stable_diffusion_in_safetensors():
    files = [path for path in MINIATURE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12e6
    assert not [path for path in files if path.suffix in (".bin", ".ckpt", ".pt", ".pkl")]
    index = json.loads((MINIATURE / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]


def test_its_training_is_on_record():
    record = json.loads((MINIATURE / "training.json").read_text())
    assert {"seed", "batch", "pictures", "device", "minutes"} <= set(record)
    losses = record["unet: step, squared error"]
    assert losses[-1][1] < losses[0][1]


def test_digits_are_read_by_a_reader_of_fonts_it_never_saw(generator):
    """A quick reader names most of them; the full judgement is ``training.judge_glyphs``."""
    known, looks = Renderings(split_fonts()[1], 0).draw(12_000, DIGITS)
    light = np.array([not look.dark for look in looks])
    names = np.array([look.character for look in looks])
    known, names = features(known[light]), names[light]
    asked = list(DIGITS * 20)
    drawn = features(grey(generator, [plain_caption(c) for c in asked]))
    distances = (known**2).sum(1) - 2 * drawn @ known.T
    seven = names[np.argpartition(distances, 7, axis=1)[:, :7]]
    said = [max(DIGITS, key=list(row).count) for row in seven]
    assert (np.array(said) == np.array(asked)).mean() > 0.85  # 0.92 when it was written


def test_words_of_a_caption_show_in_the_picture(generator):
    def ink(words):
        return grey(generator, [f"a {words} digit {name}" for name in ("one", "two", "five")] * 20)

    assert ink("bold handwritten").mean() > 1.4 * ink("thin handwritten").mean()
    dark = grey(generator, ["a handwritten digit two, black on white"] * 20)
    assert dark.mean() > 128


def test_a_small_degree_stays_closer_than_a_large_one(generator):
    texts = [plain_caption(c) for c in DIGITS * 5]
    state = generator.random([""] * 50, texts, np.random.default_rng(0))
    images = [
        to_uint8(generator.render(generator.vary(state, d, np.random.default_rng(1)))).astype(float)
        for d in (0.0, 0.2, 0.6, 1.0)
    ]
    distances = [np.abs(image - images[0]).mean() for image in images]
    assert distances == sorted(distances)
    assert distances[1] < 0.5 * distances[3]


# What it was trained with -----------------------------------------------------------------------


def test_the_judges_fonts_are_never_seen():
    seen, unseen = split_fonts()
    assert not set(seen) & set(unseen)
    assert min(len(seen), len(unseen)) >= 40


def test_twins_are_one_and_others_are_not():
    assert twin("c") == twin("C") == "C"
    assert twin("0") == twin("O") == twin("o")
    assert twin("R") != twin("r")
    everything = "".join(TWINS)
    assert len(set(everything)) == len(everything)
    assert set(everything) <= set(CHARACTERS)


def test_captions_say_only_what_is_true():
    rng = np.random.default_rng(0)
    thin = Look("7", "serif", stroke=0.07, lean=-0.3, dark=True)
    texts = [caption(thin, rng) for _ in range(300)]
    assert all(text.endswith(", black on white") for text in texts)
    assert all("seven" in text or "7" in text for text in texts)
    assert not any(word in text for text in texts for word in ("bold", "slanted", "handwritten"))
    assert any("thin" in text for text in texts)
    assert any("serif" in text for text in texts)
    large = [caption(Look("R", "mono", 0.14, 0.4, False), rng) for _ in range(300)]
    assert all("small" not in text and "thin" not in text for text in large)
    assert any("slanted" in text for text in large)


def test_renderings_are_decided_by_the_seed():
    one, other = (Renderings(split_fonts()[0][:3], 5).draw(40) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1] == other[1]
    assert {look.kind for look in one[1]} == {"handwriting"}


@pytest.mark.parametrize("character", CHARACTERS)
def test_every_character_has_a_caption_of_its_own(character):
    assert [plain_caption(c) for c in CHARACTERS].count(plain_caption(character)) == 1
