"""What was found in the private images, as HTML for whoever they belong to.

Nobody else is ever answered with it, and nothing of it is stored or logged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from pe_engine.census import Census
from pe_engine.class_rules import composed
from pe_engine.data import PrivateDataset, Skipped
from pe_engine.timing import duration

MOST_ROWS = 200
"""Classes in the table; a person does not look through more."""

MOST_NAMES = 3
"""Skipped files that are named for each reason."""

_DECLARE = (
    '<p class="drop-note">Whoever sees the result sees which classes there are. They were found in '
    "the images, so one image with a class of its own would show by its class. Declare the "
    "classes, and no single image can add or remove one. "
    '<button type="button" class="link declare">Declare these classes</button></p>'
)
_DECLARED = (
    '<p class="drop-note">You declared these classes: no single image can add or remove one. To '
    'rename, merge or leave out, go back. <button type="button" class="link declare">Do not '
    "declare them</button></p>"
)

_IN_COLOUR = (
    "most are in colour. What is bundled draws letters, digits and cartoon faces; for photographs "
    "use Stable Diffusion with a model that you name, or an image pool."
)


def summary_html(dataset: PrivateDataset, class_map: Mapping[str, str], public: bool) -> str:
    """How many images and classes there are, the table of classes, and what was skipped.

    Args:
        class_map: what classes are called; see ``RunConfig``.
        public: the images are public, and so is what classes they have.
    """
    parts = [f'<p class="found">{escape(dataset.describe())}</p>']
    if dataset.rule != "none":
        parts.append(_declared_table(dataset) if dataset.declared else _table(dataset, class_map))
        if not public:
            parts.append(_DECLARED if dataset.declared else _DECLARE)
    if dataset.skipped:
        parts.append(_skipped(dataset.skipped))
    return "".join(parts)


def fitting_map(class_map: Mapping[str, str], dataset: PrivateDataset) -> dict[str, str]:
    """What of a map is about this data set: the page may still have that of another one."""
    if dataset.declared:
        known = {"", *dataset.class_names}
        return {old: new for old, new in class_map.items() if new in known}
    if dataset.rule == "none":
        return {}
    found = {composed(name): name for name in dataset.found}
    return {found[composed(old)]: new for old, new in class_map.items() if composed(old) in found}


def _table(dataset: PrivateDataset, class_map: Mapping[str, str]) -> str:
    """A row per class as found, to be renamed or left out."""
    shown = [*dataset.found.items()][:MOST_ROWS]
    called = {name: class_map.get(name, name) for name in dataset.found}
    times = Counter(called.values())
    largest = max(dataset.found.values())
    rows = "".join(
        _row(name, called[name], times[called[name]] > 1, count, largest) for name, count in shown
    )
    more = len(dataset.found) - len(shown)
    rest = f'<p class="drop-note">And {more:,} classes more.</p>' * (more > 0)
    return (
        '<div class="classes" role="group" aria-label="Classes">'
        '<p class="drop-note">Rename a class, give two the same name to merge them, or untick one '
        f'to leave it out.</p><ul>{rows}</ul>{rest}<p class="used" aria-live="polite"></p></div>'
    )


def _row(name: str, called: str, merged: bool, count: int, largest: int) -> str:
    state = " merged" if called and merged else "" if called else " left-out"
    raw, new = escape(name), escape(called or name)
    return (
        f'<li class="class-row{state}" data-raw="{raw}" data-count="{count}">'
        f'<input type="checkbox"{" checked" * bool(called)} aria-label="Use class {raw}">'
        f'<input type="text" value="{new}" maxlength="100" autocomplete="off" spellcheck="false"'
        f' aria-label="Name of class {raw}">{_bar(count, largest)}</li>'
    )


def _declared_table(dataset: PrivateDataset) -> str:
    counts = np.bincount(dataset.class_ids, minlength=len(dataset.class_names)).tolist()
    rows = [
        f'<li class="class-row fixed"><span>{escape(name)}</span>{_bar(count, max(counts))}</li>'
        for name, count in zip(dataset.class_names, counts, strict=True)
    ]
    return f'<div class="classes"><ul>{"".join(rows[:MOST_ROWS])}</ul></div>'


def _bar(count: int, largest: int) -> str:
    width = round(100 * count / max(largest, 1))
    return (
        f'<span class="share" aria-hidden="true"><i style="width:{width}%"></i></span>'
        f'<span class="count">{count:,}</span>'
    )


def _skipped(skipped: Sequence[Skipped]) -> str:
    """How many files are skipped, why, and a few of each reason by name."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for file in skipped:
        by_reason[file.reason].append(file.name)
    items = []
    for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(names[:MOST_NAMES]) + ", …" * (len(names) > MOST_NAMES)
        items.append(f"<li>{len(names):,} × {escape(reason)}: {escape(shown)}</li>")
    files = "1 file is" if len(skipped) == 1 else f"{len(skipped):,} files are"
    return f"<details><summary>{files} skipped</summary><ul>{''.join(items)}</ul></details>"


def census_html(census: Census) -> str:
    """Image sizes, copies, what cannot be read and how long reading takes; "" of no image."""
    if not census.images:
        return ""
    lines = [("Sizes", _sizes(census)), ("Copies", _copies(census))]
    if census.unreadable:
        lines.append(("Readable", _readable(census)))
    if census.in_colour:
        lines.append(("Colour", _IN_COLOUR))
    if census.seconds_to_read >= 1:
        lines.append(("Time", f"about {duration(census.seconds_to_read)} to read them all once."))
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(said)}</dd></div>" for name, said in lines)
    cut = ""
    if census.looked_at < census.images:
        cut = (
            f'<p class="drop-note">Of the first {census.looked_at:,} of {census.images:,} files; '
            "a look at all would take too long.</p>"
        )
    return f"<dl>{rows}</dl>{cut}"


def _readable(census: Census) -> str:
    bad = census.unreadable.total()
    reasons = "; ".join(
        f"{'1 file' if n == 1 else f'each of {n:,} files'} {why}"
        for why, n in census.unreadable.most_common(5)
    )
    said = f"{census.looked_at - bad:,} of {census.looked_at:,} files; {reasons}"
    return f"{said} ({_named(census.bad_names, bad)})."


def _named(names: Sequence[str], count: int) -> str:
    return ", ".join(names) + ", …" * (count > len(names))


def _sizes(census: Census) -> str:
    extremes = [f"{width:,}\u00a0×\u00a0{height:,}" for width, height in census.extremes()]
    if not extremes:
        return "none could be read."
    if len(census.sizes) == 1:
        return f"all {extremes[0]} pixels."
    smallest, median, largest = extremes
    return (
        f"{smallest} to {largest} pixels, median {median}; "
        f"{len(census.sizes):,} different. They are cut to squares of one size."
    )


def _copies(census: Census) -> str:
    if not census.copies:
        return "no file twice."
    files = "1 file is" if census.copies == 1 else f"{census.copies:,} files are"
    named = _named(census.copy_names, census.copies)
    return (
        f"{files} the same as another ({named}). Each file has a vote of its own, and "
        "the promise of privacy is for one file: remove copies if it is to hold for one picture."
    )
