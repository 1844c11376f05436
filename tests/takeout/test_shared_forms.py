"""The PDF and the animation of a release."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pe_engine.boundary import GenerationRecord
from pe_engine.errors import ConfigError
from pe_engine.manifest import describe
from pe_engine.report import settings_table
from pe_engine.statement import WEAK, state
from pe_engine.takeout import animation
from pe_engine.takeout.animation import LAST_MS, MOST_BYTES, caption, evolution
from pe_engine.takeout.pdf import WHEN, report_pdf
from tests.test_export import SECRET_CLASSES, SECRET_DATASET, config, finished


def noisy(side=348, seed=0, grey=False):
    """A contact sheet that cannot be compressed."""
    sheet = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return sheet[..., :1].repeat(3, -1) if grey else sheet


def evolved(sheets):
    records = [GenerationRecord(0, sheets[0], None, None, 0.0)]
    for g, sheet in enumerate(sheets[1:], start=1):
        records.append(GenerationRecord(g, sheet, np.arange(12), 5.0, 0.4 * g))
    last = len(sheets) - 1
    return finished(config=config(iterations=last), records=records, committed=last)


def frames(data):
    shown = Image.open(io.BytesIO(data))
    return [(f.convert("RGB"), f.info.get("duration")) for f in ImageSequence.Iterator(shown)]


def test_the_animation_shows_each_generation_and_rests_on_the_last():
    sheets = [np.full((40, 40, 3), value, np.uint8) for value in (20, 120, 220)]
    made = evolution(evolved(sheets))
    assert made.startswith(b"GIF89a")
    seen = frames(made)
    assert [np.asarray(f)[0, 0].tolist() for f, _ in seen] == [[v] * 3 for v in (20, 120, 220)]
    assert [ms for _, ms in seen][-1] == LAST_MS
    assert Image.open(io.BytesIO(made)).info["loop"] == 0
    height = seen[0][0].height - animation.BAR
    bars = [np.asarray(f)[height + 8 :] for f, _ in seen]
    assert all((bar < 100).any() for bar in bars)  # a caption
    assert not np.array_equal(bars[0], bars[1])


def test_captions_say_which_generation_it_is_and_what_it_cost():
    record = GenerationRecord(3, None, None, None, 0.8193)
    assert caption(record, 5) == "Generation 3 of 5, ε = 0.82"
    assert caption(GenerationRecord(0, None, None, None, 0.0), 5) == "Generation 0 of 5"


def test_grey_images_keep_every_grey():
    sheet = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    frame = np.asarray(frames(evolution(evolved([sheet, sheet])))[0][0])
    assert len(np.unique(frame[: -animation.BAR])) == 256


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_is_at_most_as_large_as_what_people_send(kind, monkeypatch):
    assert MOST_BYTES == 2_000_000
    monkeypatch.setattr(animation, "MOST_BYTES", 300_000)
    made = evolution(evolved([noisy(seed=seed) for seed in range(3)]), kind)
    assert 20_000 < len(made) <= 300_000
    assert len(frames(made)) == 3
    assert Image.open(io.BytesIO(made)).format == kind.upper()


def test_there_is_no_other_kind_of_animation():
    with pytest.raises(ConfigError, match="gif or webp"):
        evolution(evolved([noisy(), noisy()]), "mp4")


def test_the_pdf_has_pages_fonts_and_no_date_of_its_making():
    made = report_pdf(finished(config=config(prompts=("привет ≤ a cat",))))
    assert made.startswith(b"%PDF-") and made.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", made)) >= 2
    assert {b"Inter", b"DejaVu"} <= set(re.findall(rb"Inter|DejaVu", made))
    assert made.count(b"/FontFile2") >= 2  # embedded, so that Greek letters show anywhere
    dates = set(re.findall(rb"D:(\d{4})", made))
    assert dates == {str(WHEN.year).encode()}
    assert made.count(b"/Subtype /Image") >= 4


def test_the_same_run_gives_the_same_pdf():
    assert report_pdf(finished()) == report_pdf(finished())


def test_the_pdf_says_what_the_report_says_and_no_more(monkeypatch):
    from fpdf import FPDF

    said = []
    for name in ("cell", "multi_cell"):
        plain = getattr(FPDF, name)

        def heard(self, *given, plain=plain, **more):
            said.append(" ".join(str(value) for value in (*given, *more.values())))
            return plain(self, *given, **more)

        monkeypatch.setattr(FPDF, name, heard)
    report_pdf(finished(config=config(adjacency="replace")))
    text = " ".join(said)
    for words in (
        "ε = 0.8",
        "δ = 1e-5",
        "been replaced by any other image",
        "**69 %**",
        "A person with several images.",
        "Generation 2",
        "exact ε",
        "a mole",
    ):
        assert words in text, words
    for secret in (SECRET_DATASET, *SECRET_CLASSES, "9.875"):
        assert secret not in text


@pytest.mark.parametrize("side", [40, 348])
def test_a_warning_stands_on_the_page_of_the_promise_it_is_about(monkeypatch, side):
    from fpdf import FPDF

    pages, plain = {}, FPDF.multi_cell

    def heard(self, w, h=None, text="", **more):
        before = self.page_no()
        made = plain(self, w, h, text, **more)
        if not more.get("dry_run"):
            pages[text] = (before, self.page_no())
        return made

    monkeypatch.setattr(FPDF, "multi_cell", heard)
    spent = [0.0, 5.0, 9.0]
    sheet = np.zeros((side, side, 3), np.uint8)
    records = [
        GenerationRecord(g, sheet, np.arange(12) if g else None, 5.0 if g else None, e)
        for g, e in enumerate(spent)
    ]
    run = finished(records=records)
    report_pdf(run)
    promise = pages["\n\n".join(state(describe(run)).promise)]
    assert pages[WEAK] == promise == pages["What it promises"]
    assert len(set(promise)) == 1


def test_settings_without_a_value_are_left_out():
    options = {"preview_autoencoder": "", "steps": 7}
    settings = config(generator="stable_diffusion", generator_options=options)
    told = dict(settings_table(describe(finished(config=settings))))
    assert all(told.values())
    assert told["generator options"] == "steps: 7"
