"""The report to print: the same words, numbers and pictures as report.html, as a PDF.

Its fonts are inside, so that Greek letters show anywhere; it holds no date of its making.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe_engine import report
from pe_engine.boundary import Outgoing
from pe_engine.manifest import describe
from pe_engine.report import Picture
from pe_engine.statement import LITERATURE, LOOK_ALIKE, MAY_RESEMBLE, short, state, up

if TYPE_CHECKING:
    from fpdf import FPDF

FONTS = Path(__file__).parents[2] / "assets" / "report"
MARGIN, WIDTH = 18.0, 174.0  # millimetres, of A4
HEADING, BOX_LINE, BOX_GAP = 13.0, 5.2, 2.5  # millimetres
INK, SOFT, LINE = (31, 41, 55), (91, 100, 114), (227, 230, 235)
ACCENT, TINT, WARN = (79, 70, 229), (238, 240, 255), (253, 240, 213)
WHEN = datetime(1980, 1, 1, tzinfo=timezone.utc)  # as in the zip: the bytes tell of no date


def report_pdf(run: Outgoing) -> bytes:
    """The whole report; the same bytes for the same run."""
    from pe_engine.plots import epsilon_curve

    manifest, pictures = describe(run), report.draw_shown(run)
    paper = _paper(manifest)
    _opening(paper, manifest)
    _result(paper, manifest, report.result_of(pictures, run.generation))
    _promise(paper, manifest)
    _evolution(paper, manifest, pictures)
    _budget(paper, manifest, epsilon_curve([record.epsilon_spent for record in run.records]))
    _classes(paper, manifest["samples"]["classes"])
    _heading(paper, "All settings")
    _table(paper, report.settings_table(manifest), (42, 58))
    _text(paper, LITERATURE, 8.5, SOFT)
    return bytes(paper.output())


def _paper(manifest: Mapping[str, Any]) -> FPDF:
    from fpdf import FPDF

    from pe_engine.plots import any_script_font

    product = manifest["product"]

    class Paper(FPDF):
        def footer(self) -> None:
            self.set_y(-14)
            self.set_font("Inter", size=8)
            self.set_text_color(*SOFT)
            self.cell(WIDTH / 2, 5, f"{product['name']} {product['version']}")
            self.cell(WIDTH / 2, 5, f"{self.page_no()} / {{nb}}", align="R")

    paper = Paper(format="A4")
    paper.set_creation_date(WHEN)
    paper.set_title(_title(manifest))
    paper.set_lang("en")
    paper.set_margins(MARGIN, MARGIN)
    paper.set_auto_page_break(True, margin=20)
    paper.add_font("Inter", "", FONTS / "inter-regular.ttf")
    paper.add_font("Inter", "B", FONTS / "inter-bold.ttf")
    paper.add_font("Any script", "", any_script_font())
    paper.set_fallback_fonts(["Any script"], exact_match=False)
    paper.add_page()
    return paper


def _title(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['samples']['count']:,} synthetic images"


# Parts ------------------------------------------------------------------------------------------


def _opening(paper: FPDF, manifest: Mapping[str, Any]) -> None:
    privacy, samples = manifest["privacy"], manifest["samples"]
    _text(paper, manifest["product"]["name"], 10, ACCENT, bold=True)
    _text(paper, _title(manifest), 24, bold=True)
    _text(paper, manifest["what"], 10, SOFT)
    plural = "" if privacy["releases"] == 1 else "s"
    facts = [
        (f"ε = {up(privacy['epsilon'])}", "budget spent"),
        (f"δ = {short(privacy['delta'])}", "slack of the promise"),
        (privacy["unit"], "what is protected"),
        (str(privacy["releases"]), f"generation{plural} of votes"),
        (f"{samples['width']} × {samples['height']}", "pixels"),
    ]
    paper.ln(2)
    top, wide = paper.get_y(), WIDTH / len(facts)
    for i, (value, meaning) in enumerate(facts):
        left = MARGIN + i * wide
        paper.set_draw_color(*LINE)
        paper.rect(left, top, wide - 3, 17, round_corners=True, corner_radius=2)
        paper.set_xy(left + 2, top + 3)
        _style(paper, 12, INK, bold=True)
        paper.cell(wide - 7, 6, value)
        paper.set_xy(left + 2, top + 9)
        _style(paper, 8, SOFT)
        paper.cell(wide - 7, 5, meaning)
    paper.set_xy(MARGIN, top + 21)


def _result(paper: FPDF, manifest: Mapping[str, Any], result: Picture) -> None:
    _heading(paper, "What this is")
    _text(paper, LOOK_ALIKE)
    _text(paper, MAY_RESEMBLE)
    if result.sheet:
        paper.image(result.sheet, x="C", w=110, h=95, keep_aspect_ratio=True, alt_text="Images")
        paper.ln(1)
        shown = f"Some images of generation {result.generation}"
        _text(paper, f"{shown}, of {manifest['samples']['count']:,} in all.", 8.5, SOFT, align="C")


def _promise(paper: FPDF, manifest: Mapping[str, Any]) -> None:
    statement = state(manifest)
    boxes = [("\n\n".join(statement.promise), TINT)]
    if statement.weak:
        boxes.append((statement.weak, WARN))
    if paper.will_page_break(HEADING + sum(_box_height(paper, text) for text, _ in boxes)):
        paper.add_page()  # no warning without what it warns of
    _heading(paper, "What it promises")
    for text, fill in boxes:
        _boxed(paper, text, fill)
    for text in (statement.means, *statement.notes):
        _text(paper, text)
    _heading(paper, "What it does not promise")
    for text in statement.limits:
        paper.set_x(MARGIN)
        _style(paper, 10, INK)
        paper.cell(5, 5.2, "•")
        paper.multi_cell(
            WIDTH - 5, 5.2, text, markdown=True, align="L", new_x="LMARGIN", new_y="NEXT"
        )
        paper.ln(1.2)


def _evolution(paper: FPDF, manifest: Mapping[str, Any], pictures: Sequence[Picture]) -> None:
    privacy = manifest["privacy"]
    _heading(paper, "How it evolved")
    _text(
        paper,
        f"{privacy['start']} From then on, candidates with more noisy votes than the threshold H "
        "became parents of the next generation.",
        10,
        SOFT,
    )
    for picture in pictures:
        _generation(paper, picture)


def _generation(paper: FPDF, picture: Picture) -> None:
    """The sheet on the left, what is known of it and the histogram on the right."""
    tall = 56.0
    if paper.will_page_break(tall):
        paper.add_page()
    top = paper.get_y() + 2
    paper.set_draw_color(*LINE)
    paper.line(MARGIN, top - 1, MARGIN + WIDTH, top - 1)
    if picture.sheet:
        paper.image(
            picture.sheet, MARGIN, top + 1, 56, tall - 6, keep_aspect_ratio=True, alt_text="Images"
        )
    paper.set_xy(MARGIN + 62, top + 1)
    _style(paper, 11, INK, bold=True)
    paper.cell(0, 6, f"Generation {picture.generation}", new_x="LEFT", new_y="NEXT")
    spent = f"ε = {up(picture.epsilon)} spent so far." if picture.epsilon else "Nothing spent yet."
    _style(paper, 9, SOFT)
    votes = " The noisy votes that chose its parents:" if picture.votes else ""
    paper.cell(0, 5, spent + votes, new_x="LEFT", new_y="NEXT")
    if picture.votes:
        paper.image(picture.votes, MARGIN + 60, top + 13, WIDTH - 72, alt_text="Noisy votes")
    paper.set_xy(MARGIN, top + tall)


def _budget(paper: FPDF, manifest: Mapping[str, Any], curve: bytes) -> None:
    privacy = manifest["privacy"]
    rows = [
        (
            str(row["generation"]),
            "–" if row["threshold"] is None else short(row["threshold"]),
            up(row["epsilon"]),
        )
        for row in privacy["generations"]
    ]
    if paper.will_page_break(75):
        paper.add_page()
    _heading(paper, "Budget")
    _text(paper, f"ε spent after each generation, at δ = {short(privacy['delta'])}.", 10, SOFT)
    paper.image(curve, x=MARGIN, w=120, alt_text="Step curve of ε")
    paper.ln(2)
    _table(paper, rows, (30, 40, 30), ("Generation", "Threshold H, votes", "ε spent"))


def _classes(paper: FPDF, classes: Sequence[Mapping[str, Any]]) -> None:
    if len(classes) < 2:
        return
    _heading(paper, f"The {len(classes)} classes")
    rows = [(str(c["id"]), c["name"], f"{c['samples']:,}") for c in classes]
    _table(paper, rows, (20, 50, 30), ("Class id", "Name", "Images"))


# Pieces -----------------------------------------------------------------------------------------


def _style(paper: FPDF, size: float, colour: tuple[int, int, int], bold: bool = False) -> None:
    paper.set_font("Inter", "B" if bold else "", size)
    paper.set_text_color(*colour)


def _text(
    paper: FPDF,
    text: str,
    size: float = 10,
    colour: tuple[int, int, int] = INK,
    bold: bool = False,
    align: str = "L",
) -> None:
    _style(paper, size, colour, bold)
    paper.multi_cell(
        WIDTH, size * 0.52, text, markdown=True, align=align, new_x="LMARGIN", new_y="NEXT"
    )
    paper.ln(1.6)


def _heading(paper: FPDF, text: str) -> None:
    if paper.will_page_break(30):
        paper.add_page()
    paper.ln(3.5)
    with paper.local_context():
        paper.start_section(text)
    _text(paper, text, 14, bold=True)


def _box_height(paper: FPDF, text: str) -> float:
    """Millimetres that ``_boxed`` takes."""
    _style(paper, 10, INK)
    tall = paper.multi_cell(
        WIDTH, BOX_LINE, text, markdown=True, align="L", padding=3, dry_run=True, output="HEIGHT"
    )
    return tall + BOX_GAP


def _boxed(paper: FPDF, text: str, fill: tuple[int, int, int]) -> None:
    _style(paper, 10, INK)
    paper.set_fill_color(*fill)
    paper.multi_cell(
        WIDTH,
        BOX_LINE,
        text,
        markdown=True,
        align="L",
        fill=True,
        padding=3,
        new_x="LMARGIN",
        new_y="NEXT",
    )
    paper.set_fill_color(255)
    paper.ln(BOX_GAP)


def _table(
    paper: FPDF,
    rows: Sequence[tuple[str, ...]],
    widths: tuple[int, ...],
    heads: tuple[str, ...] = (),
) -> None:
    from fpdf.fonts import FontFace

    _style(paper, 9, INK)
    paper.set_draw_color(*LINE)
    with paper.table(
        [*([heads] if heads else []), *rows],
        col_widths=widths,
        width=WIDTH,
        align="L",
        text_align="LEFT",
        borders_layout="HORIZONTAL_LINES",
        first_row_as_headings=bool(heads),
        headings_style=FontFace(emphasis="", color=SOFT),
        line_height=5,
        padding=1,
    ):
        pass
    paper.ln(2)
