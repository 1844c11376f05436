"""Problems as sentences for the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from fastapi import HTTPException

from pe_engine.errors import PEError

PROBLEMS = (PEError, OSError, HTTPException)
"""What a handler answers with a sentence; anything else is a mistake in the program."""


_OPTION = re.compile(r"\boption (\w+)")


def sentence_of(problem: Exception) -> str:
    """One of ``PROBLEMS`` as a sentence; of a disk's without the path, which may be private."""
    if isinstance(problem, HTTPException):
        return str(problem.detail)
    if isinstance(problem, OSError):
        reason = problem.strerror or type(problem).__name__
        return f"The server could not read or write a file: {reason}. Mend that and try again."
    return str(problem)


def note_html(sentence: str) -> str:
    """A sentence that is no problem."""
    return f'<p class="note" role="status">{escape(sentence)}</p>'


FIELDS = {
    "ε (epsilon)": "field-epsilon",
    "δ (delta)": "field-delta",
    "number of iterations": "field-iterations",
    "number of samples": "field-num-samples",
    "neighbours": "field-neighbours",
    "threshold H": "field-threshold",
    "look-ahead": "field-lookahead",
    "cap on ε": "field-epsilon-cap",
    "image size": "field-image-size",
    "seed": "field-seed",
    "variation degrees": "field-degrees",
    "votes of a person": "field-person-votes",
}
"""Where a sentence that begins with "The", and such a name, has its field on the page."""


def field_mark(sentence: str) -> str:
    """An attribute that names the field that a sentence is about; "" of none."""
    found = (f for name, f in FIELDS.items() if sentence.startswith(f"The {name} "))
    return "".join(f' data-field="{field}"' for field in found)


def problem_html(problem: Exception, titles: Mapping[str, str] = MappingProxyType({})) -> str:
    """One of ``PROBLEMS`` as an alert.

    Args:
        titles: what the page calls options, by the names that the sentence may use.
    """
    said = _OPTION.sub(lambda o: f"option {titles.get(o[1], o[1])}", sentence_of(problem))
    return f'<p class="problem" role="alert"{field_mark(said)}>{escape(said)}</p>'
