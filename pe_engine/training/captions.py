"""What the miniature's pictures are called: the 62 characters and the words around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pe_engine.generators.miniature import DIGITS, WORDS

# Characters that look alike once each is scaled to fill the picture; they count as one.
TWINS = ("Cc", "Kk", "Oo0", "Pp", "Ss", "Uu", "Vv", "Ww", "Xx", "Yy", "Zz", "Il1i", "Jj", "Mm")

THIN, BOLD = 0.10, 0.18  # stroke widths over capital height, below and above which words are used
SLANTED = 0.2  # horizontal lean per unit of height from which a picture is called slanted

_KINDS = {
    "handwriting": ("handwritten",),
    "mono": ("typewritten", "printed"),
    "sans": ("sans serif", "printed"),
    "serif": ("serif", "printed"),
}


def twin(character: str) -> str:
    """The first of the characters that count as the same as this one."""
    return next((group[0] for group in TWINS if character in group), character)


@dataclass(frozen=True)
class Look:
    """What a caption may say about a picture.

    Attributes:
        character: one of ``CHARACTERS``.
        kind: "handwriting", "mono", "sans" or "serif".
        stroke: stroke width over capital height.
        lean: how far the top leans right, per unit of height.
        dark: dark ink on light ground.
    """

    character: str
    kind: str
    stroke: float
    lean: float
    dark: bool


def caption(look: Look, rng: np.random.Generator) -> str:
    """One of the many true captions of a picture, in lower case, as the text encoder reads it."""
    words = [_some(rng, ("a", "the", ""), (0.6, 0.2, 0.2))]
    weight = "thin" if look.stroke < THIN else "bold" if look.stroke > BOLD else ""
    if rng.random() < 0.4:
        words.append(weight)
    if look.lean > SLANTED and rng.random() < 0.4:
        words.append("slanted")
    if rng.random() < 0.6:
        words.append(_some(rng, _KINDS[look.kind]))
    words.append(_noun(look.character, rng))
    text = " ".join(word for word in words if word)
    if look.dark:
        return f"{text}, black on white"
    return f"{text}, white on black" if rng.random() < 0.1 else text


def _noun(character: str, rng: np.random.Generator) -> str:
    if character in DIGITS:
        name = _some(rng, (WORDS[int(character)], character))
        return _some(rng, (f"digit {name}", name), (0.7, 0.3))
    case = ("capital", "uppercase") if character.isupper() else ("small", "lowercase")
    style = rng.random()
    if style < 0.04:  # a case that nobody names may be either
        return _some(rng, (f"letter {character.lower()}", character.lower()))
    letter = "letter " if style < 0.3 else ""
    return f"{_some(rng, case, (0.7, 0.3))} {letter}{character.lower()}"


def _some(rng: np.random.Generator, words: tuple[str, ...], odds: tuple[float, ...] = ()) -> str:
    return words[rng.choice(len(words), p=odds or None)]
