"""Pictures of a run's noisy votes and of the ε it spent, as PNG bytes.

Drawn on matplotlib's Agg canvas without pyplot: no global figure list, no shared style settings,
so that any thread may draw. The background is transparent and the bytes hold no date.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (7.2, 3.0)
DOTS_PER_INCH = 200  # 1440 x 600 pixels: 720 x 300 on a screen of double density
FONT = 12.5  # points; still 9 pixels high where a phone shows the picture 360 pixels wide
MAX_BINS = 72
HEADROOM = 1.22
# A log axis pays only where single candidates lie far outside the noise and the peak hides them.
LOG_BEYOND_SIGMA = 8
LOG_ABOVE_PEAK = 50


@dataclass(frozen=True)
class _Colours:
    text: str
    grid: str
    above: str
    below: str
    band: str
    line: str


_LIGHT = _Colours("#374151", "#e5e7eb", "#4f46e5", "#b4bccb", "#f59e0b", "#b45309")
_DARK = _Colours("#d1d5db", "#2f3947", "#8b93ff", "#596579", "#f59e0b", "#fbbf24")


def vote_histogram(
    noisy_votes: np.ndarray, noise_multiplier: float, threshold: float, dark: bool = False
) -> bytes:
    """How many candidates got how many noisy votes, with the threshold and the reach of the noise.

    Args:
        noisy_votes: int64 ``(N,)``, N >= 1, may be negative.
        noise_multiplier: σ, in votes; noise alone lies within ±σ about 68 % of the time.
        threshold: H, in votes; candidates with more are coloured.
        dark: light lines and text, for a dark page.

    Returns:
        A PNG of 1440 x 600 pixels with a transparent background; the same bytes for the same input.
    """
    colours = _DARK if dark else _LIGHT
    figure, axes = _blank(colours, height=0.66)
    above = noisy_votes > threshold
    split = np.floor(threshold) + 0.5  # between the last whole number not above H and the next
    edges = _integer_edges(noisy_votes, noise_multiplier, split)
    counts = np.histogram(noisy_votes, edges)[0]
    peak = int(counts.max())
    log = np.abs(noisy_votes).max() > LOG_BEYOND_SIGMA * noise_multiplier and peak > LOG_ABOVE_PEAK
    floor = 0.6 if log else 0.0

    band = axes.axvspan(
        -noise_multiplier, noise_multiplier, color=colours.band, alpha=0.2, lw=0, zorder=0
    )
    passes = edges[:-1] >= split
    heights = np.maximum(counts, floor)
    grey, coloured = (
        axes.stairs(np.where(bars, heights, floor), edges, baseline=floor, fill=True, color=colour)
        for bars, colour in ((~passes, colours.below), (passes, colours.above))
    )
    axes.set_xlim(edges[0], edges[-1])
    if log:
        axes.set_yscale("log")
    axes.set_ylim(floor, peak ** (HEADROOM + 0.1) if log else peak * HEADROOM)
    _count_ticks(axes, log)
    _draw_threshold(axes, split, f"threshold H = {_votes(threshold)}", colours)
    _label(axes, "noisy votes per candidate", "candidates" + (" (log scale)" if log else ""))
    entries = {
        f"{np.count_nonzero(above):,} above H": coloured,
        f"{np.count_nonzero(~above):,} not above": grey,
        f"noise alone, ±σ = ±{_votes(noise_multiplier)}": band,
    }
    _legend(axes, colours, entries)
    return _png(figure)


def epsilon_curve(epsilons: Sequence[float], dark: bool = False) -> bytes:
    """ε spent after each generation, as a step curve.

    Args:
        epsilons: ε after generation 0 (nothing spent: 0.0), 1, ..., T.
        dark: light lines and text, for a dark page.

    Returns:
        A PNG of 1440 x 600 pixels with a transparent background; the same bytes for the same input.
    """
    from matplotlib.ticker import MaxNLocator

    colours = _DARK if dark else _LIGHT
    figure, axes = _blank(colours, height=0.74)
    generations = np.arange(len(epsilons))
    last = len(epsilons) - 1
    axes.step(generations, epsilons, where="post", color=colours.above, lw=2.2)
    axes.fill_between(generations, epsilons, step="post", color=colours.above, alpha=0.12, lw=0)
    axes.plot(generations, epsilons, "o", color=colours.above, ms=5 if last <= 30 else 2.5)
    axes.annotate(
        f"ε = {epsilons[-1]:.4g}",
        (last, epsilons[-1]),
        xytext=(-10, 7),
        textcoords="offset points",
        ha="right",
        color=colours.text,
        fontsize=FONT,
        fontweight="bold",
    )
    axes.set_xlim(-0.15, max(last, 1) * 1.02 + 0.1)
    axes.set_ylim(0, max(max(epsilons), 1e-9) * HEADROOM)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, steps=[1, 2, 5, 10]))
    _label(axes, "generation", "ε spent so far")
    return _png(figure)


def _integer_edges(votes: np.ndarray, sigma: float, split: float) -> np.ndarray:
    """Bin edges halfway between integers, all bins the same whole number of votes wide.

    ``split`` (a whole number and a half) is one of them, so that no bar straddles the threshold.
    """
    low = np.floor(min(votes.min(), -1.15 * sigma)) - 0.5
    high = np.ceil(max(votes.max(), 1.15 * sigma, split + 0.15 * sigma)) + 0.5
    width = np.ceil((high - low) / MAX_BINS)
    bins_below, bins_above = np.ceil((split - low) / width), np.ceil((high - split) / width)
    return split + width * np.arange(-bins_below, bins_above + 1)


def _blank(colours: _Colours, height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.115, 0.215, 0.86, height), facecolor="none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(colours.text)
    axes.tick_params(colors=colours.text, labelsize=FONT, length=0, pad=6, which="both")
    axes.grid(axis="y", color=colours.grid, lw=0.9)
    axes.set_axisbelow(True)
    return figure, axes


def _count_ticks(axes: Axes, log: bool) -> None:
    """Whole numbers of votes and of candidates only, short enough for the margin."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "−"))
    axes.yaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
    )
    if log:
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=[1, 2, 5, 10]))


def _votes(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _draw_threshold(axes: Axes, split: float, text: str, colours: _Colours) -> None:
    """A line between the bars that pass and the others, labelled where there is room."""
    axes.axvline(split, color=colours.line, lw=1.8)
    low, high = axes.get_xlim()
    left = (split - low) / (high - low) > 0.8
    axes.annotate(
        text,
        (split, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if left else 6, -3),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        color=colours.line,
        fontsize=FONT,
        fontweight="bold",
    )


def _label(axes: Axes, x: str, y: str) -> None:
    colour = axes.spines["bottom"].get_edgecolor()
    axes.set_xlabel(x, fontsize=FONT, color=colour, labelpad=5)
    axes.set_ylabel(y, fontsize=FONT, color=colour, labelpad=6)


def _legend(axes: Axes, colours: _Colours, entries: dict) -> None:
    axes.legend(
        entries.values(),
        entries.keys(),
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.985),
        ncols=len(entries),
        frameon=False,
        fontsize=FONT,
        labelcolor=colours.text,
        handlelength=0.9,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=1.4,
        borderpad=0.2,
    )


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    # no Software field: it would tie the bytes to matplotlib's version text
    figure.canvas.print_png(file, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    return file.getvalue()


def any_script_font() -> Path:
    """A font file with the letters of many scripts: DejaVu Sans, which matplotlib brings along."""
    from matplotlib import get_data_path

    return Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
