"""What the page shows of each generator and preset to choose among, as HTML."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape

from pe_engine.components import generator_class, has_gpu
from pe_engine.generators.base import Card
from pe_engine.presets import PRESETS

AT_ONCE = ("stable_diffusion", "text_render", "avatar")
"""Generators that run anywhere without a download: their cards are not folded away."""


def availability(card: Card, environment: Mapping[str, str], gpu: bool) -> tuple[bool, str]:
    """Whether it can be used at once, and what is missing or how it runs, in a few words."""
    if card.key and not environment.get(card.key, "").strip():
        return False, f"needs {card.key}"
    if card.needs_gpu and not gpu:
        return False, "slow here: no GPU found"
    return True, "ready"


def generator_cards(names: Sequence[str], place: str) -> str:
    """The generators as a group of radio buttons.

    Args:
        place: where the page's server runs, in words.
    """
    gpu = has_gpu()
    cards = {name: _generator_card(name, place, gpu) for name in names}
    first = "".join(cards[name] for name in AT_ONCE if name in cards)
    rest = "".join(card for name, card in cards.items() if name not in AT_ONCE)
    more = f"<details><summary>More generators</summary>{rest}</details>" if rest else ""
    return f'<fieldset class="cards"><legend>Generator</legend>{first}{more}</fieldset>'


def _generator_card(name: str, place: str, gpu: bool) -> str:
    kind = generator_class(name)
    ready, state = availability(kind.card, os.environ, gpu)
    draws, where = kind.card.draws, kind.card.where or place
    return (
        f'<label class="choice"><input type="radio" name="generator" value="{name}"'
        f' aria-labelledby="card-{name}" aria-describedby="card-{name}-facts">'
        f'<img src="/pictures/generators/{name}.webp" width="56" height="56" alt=""'
        ' loading="lazy">'
        f'<span class="choice-words"><span class="choice-top"><b id="card-{name}">'
        f'{escape(kind.title)}</b> <span class="state{"" if ready else " missing-something"}">'
        f'{escape(state)}</span></span><span id="card-{name}-facts" class="choice-facts">'
        f"{escape(draws[0].upper() + draws[1:])}. <i>Needs {escape(kind.card.needs)}. "
        f"Runs on {escape(where)}.</i></span></span></label>"
    )


def preset_chips(names: Sequence[str]) -> str:
    """The presets as a group of radio buttons, and a line on the chosen one."""
    chips = "".join(
        f'<label class="chip"><input type="radio" name="preset" value="{name}"'
        f' data-title="{escape(PRESETS[name].title)}" data-said="{escape(PRESETS[name].summary)}">'
        f"<span>{escape(PRESETS[name].title)}</span></label>"
        for name in names
    )
    return (
        f'<fieldset class="chips"><legend>Preset</legend>{chips}</fieldset>'
        '<p class="preset-said" role="status"></p>'
    )


def suggestions(names: Sequence[str]) -> dict[str, list[str]]:
    """Prompts to begin with, by generator."""
    return {name: list(generator_class(name).card.suggestions) for name in names}
