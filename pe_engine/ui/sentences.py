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


def problem_html(problem: Exception, titles: Mapping[str, str] = MappingProxyType({})) -> str:
    """One of ``PROBLEMS`` as an alert.

    Args:
        titles: what the page calls options, by the names that the sentence may use.
    """
    said = _OPTION.sub(lambda o: f"option {titles.get(o[1], o[1])}", sentence_of(problem))
    return f'<p class="problem" role="alert">{escape(said)}</p>'
