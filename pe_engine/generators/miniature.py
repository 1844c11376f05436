"""The bundled miniature: a Stable Diffusion of 5.9 M parameters that writes letters and digits.

How it was trained and judged: ``pe_engine.training``.
"""

from __future__ import annotations

from pathlib import Path

MINIATURE = Path(__file__).resolve().parents[2] / "assets" / "models" / "glyphs"

DIGITS = "0123456789"
CHARACTERS = DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abcdefghijklmnopqrstuvwxyz"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def plain_caption(character: str) -> str:
    """What to ask the miniature for: "a handwritten digit seven", "a handwritten capital r".

    Args:
        character: one of ``CHARACTERS``. The text encoder reads lower case only, so that the
            words must say whether a letter is large.
    """
    if character in DIGITS:
        return f"a handwritten digit {WORDS[int(character)]}"
    return f"a handwritten {'capital' if character.isupper() else 'small'} {character.lower()}"
