"""What the privacy budget means, in words and small pictures, before anything is spent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pe_engine import advice, statement
from pe_engine.build import plan_budget
from pe_engine.checks import check_whole
from pe_engine.config import MAX_SAMPLES, RunConfig
from pe_engine.header import BudgetPlan
from pe_engine.initial import past
from pe_engine.ui.settings import decimal, number, numbers, optional_number

WIDTH, HEIGHT = 240, 44  # of a picture, in its own units
MARGIN = 3  # on either side, for dots
MOST_NUMBERS = 6  # of ε after generations
_STARRED = re.compile(r"\*\*(.+?)\*\*")
ADJACENT = {
    "add-remove": "The promise compares your {units} with the same ones without one of them, or "
    "with one more.",
    "replace": "The promise compares your {units} with the same ones in which one is another. "
    "That is a stronger promise and needs more noise.",
}


@dataclass(frozen=True)
class Budget:
    """What the fields of the budget say.

    Attributes:
        config: a run with these settings; the rest are defaults.
        plan: σ and ε after each generation.
        samples: the largest population; None where none is typed.
        images: the estimate of their number; None where none is typed.
    """

    config: RunConfig
    plan: BudgetPlan
    samples: int | None
    images: int | None

    @property
    def units(self) -> str:
        return f"{self.config.unit}s"


def read_budget(fields: Mapping[str, Any]) -> Budget:
    """The budget that the fields describe.

    Raises:
        ConfigError: a setting is out of its range.
    """
    config = RunConfig(
        dataset_name="any",
        epsilon=number("ε (epsilon)", fields["epsilon"], float),
        delta=number("δ (delta)", fields["delta"], float),
        iterations=number("number of iterations", fields["iterations"], int),
        neighbours=number("neighbours", fields["neighbours"], int),
        adjacency=fields["adjacency"],
        threshold=optional_number("threshold H", fields["threshold"]),
        persons=fields["persons"],
        person_votes=number("votes of a person", fields["person_votes"], int),
        classes="none",
    )
    start = (fields["initial"] or "").strip()
    plan = plan_budget(config, past(start) if start else None)
    return Budget(config, plan, _samples(fields["num_samples"]), _estimate(fields.get("estimate")))


def _samples(typed: Any) -> int | None:
    """The largest population; None where none is typed yet."""
    given = numbers("number of samples", typed, int)
    for samples in given:
        check_whole("number of samples", samples, 1, MAX_SAMPLES)
    return max(given, default=None)


def _estimate(typed: Any) -> int | None:
    text = str(typed or "").replace(",", "").replace(" ", "")
    images = optional_number("number of private images", text, int)
    if images is not None:
        check_whole("number of private images", images, 1, advice.MOST_IMAGES)
    return images


def budget_sentence(budget: Budget) -> str:
    """The noise on each vote and where ε ends."""
    count = budget.config.iterations
    generations = "1 generation" if count == 1 else f"{count} generations"
    return (
        f"σ = {budget.plan.noise_multiplier:.3g} votes of noise per candidate; "
        f"ε = {decimal(budget.plan.epsilons[-1])} for each {budget.config.unit} "
        f"after {generations}"
    )


def spoken(budget: Budget) -> str:
    """All of it in a few sentences, for who listens."""
    promise, signal = _promise(budget).replace("**", ""), _signal_sentence(budget)
    return f"{budget_sentence(budget)}. {promise} {signal}".strip()


def budget_html(budget: Budget) -> str:
    """The panel under the fields of the budget."""
    parts = [
        f'<p class="meaning">{escape(budget_sentence(budget))}</p>',
        f'<p class="promise">{_bold(escape(_promise(budget)))}</p>',
        _delta_html(budget),
        _advice_html(budget),
        _curve_html(budget.plan.epsilons),
        _signal_html(budget),
        _words_html(budget),
    ]
    return f'<div class="told">{"".join(parts)}</div>'


def _promise(budget: Budget) -> str:
    """In the words of the report; with ** around what is set in bold."""
    config, epsilon = budget.config, budget.plan.epsilons[-1]
    told = statement.guess_told(epsilon, config.delta, config.adjacency, config.unit == "image")
    word = advice.tier(epsilon, config.delta)
    weak = f" {statement.WEAK}" if word == "weak" else ""
    return f"ε = {decimal(epsilon)} is a {word} promise. {told}{weak}"


def _bold(escaped: str) -> str:
    return _STARRED.sub(r"<b>\1</b>", escaped)


def _delta_html(budget: Budget) -> str:
    if budget.images is None:
        return ""
    most = advice.largest_delta(budget.images)
    if budget.config.delta <= most:
        return ""
    return (
        f'<p class="warning" role="alert">δ is above 1 / {budget.images:,} = {most:.2g}. It is the '
        f"chance that the promise fails, so that one of your {budget.units} could be given away "
        "whole. Set it well below that.</p>"
    )


def _advice_html(budget: Budget) -> str:
    """Samples and iterations to begin with, and a button that takes them over."""
    if budget.images is None:
        return (
            f'<p class="hint">Type about how many {budget.units} there are, to see their votes '
            "against the noise and to get advice.</p>"
        )
    config = budget.config
    found = advice.suggest(
        budget.images, config.epsilon, config.delta, config.votes_per_unit, config.adjacency
    )
    said = f"At ε = {decimal(config.epsilon)} with about {budget.images:,} {budget.units}"
    if found is None:
        return (
            f'<p class="advice">{said} the noise would hide nearly all votes. Use a larger ε or '
            f"more {budget.units}.</p>"
        )
    if (found.samples, found.iterations) == (budget.samples, config.iterations):
        return (
            f'<p class="advice">{said} these samples and iterations suit the noise well. How much '
            "variety is kept shows only in the run.</p>"
        )
    return (
        f'<p class="advice">{said}, begin with about <b>{found.samples:,} samples</b> and '
        f'<b>{found.iterations} iterations</b>. <button type="button" class="use-advice" '
        f'data-samples="{found.samples}" data-iterations="{found.iterations}">Use this</button></p>'
    )


def _curve_html(epsilons: Sequence[float]) -> str:
    """ε after each generation, as a picture and as numbers, each under its point."""
    count, top = len(epsilons), max(epsilons)
    values = (0.0, *epsilons)
    points = [(round(t * WIDTH / count, 1), _height(e, top)) for t, e in enumerate(values)]
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    steps = min(count, MOST_NUMBERS)
    shown = [round(i * count / steps) for i in range(steps + 1)]
    dots = "".join(f'<circle cx="{points[t][0]:g}" cy="{points[t][1]:g}" r="2.5"/>' for t in shown)
    texts = "".join(
        f'<li style="left:{100 * (MARGIN + points[t][0]) / (WIDTH + 2 * MARGIN):.1f}%">'
        f"{decimal(float(f'{values[t]:.3g}')) if t else '0'}</li>"
        for t in shown
    )
    return (
        f'<figure class="spend"><figcaption>ε after generation {", ".join(map(str, shown))}'
        f'</figcaption><svg viewBox="-{MARGIN} 0 {WIDTH + 2 * MARGIN} {HEIGHT}" aria-hidden="true">'
        f'<polyline points="{line}"/>{dots}</svg><ol>{texts}</ol></figure>'
    )


def _height(value: float, top: float) -> float:
    return round(HEIGHT - 2 - (HEIGHT - 6) * value / top, 1)


def _expected(budget: Budget) -> float | None:
    """The votes of an average candidate; None where the numbers are not known."""
    if budget.images is None or budget.samples is None:
        return None
    return advice.expected_votes(budget.images, budget.config.votes_per_unit, budget.samples)


def _signal_sentence(budget: Budget) -> str:
    votes = _expected(budget)
    if votes is None:
        return ""
    ratio = round(votes / budget.plan.noise_multiplier, 1)
    said = (
        "Votes stand out from the noise."
        if ratio >= advice.CLEAR_SIGNAL
        else "Votes are of the size of the noise; favourites stand out."
        if ratio >= 1
        else "Most votes are lost in the noise: fewer samples or a larger ε help."
    )
    return (
        f"An average candidate has about {votes:.3g} votes, and the noise on them is "
        f"{budget.plan.noise_multiplier:.3g}. {said}"
    )


def _signal_html(budget: Budget) -> str:
    """Votes and noise as two bars, with the sentence that says the same."""
    votes, sigma = _expected(budget), budget.plan.noise_multiplier
    if votes is None:
        return ""
    longest = max(votes, sigma)
    bars = "".join(
        f'<div class="{kind}"><span>{words}</span><i style="width:{100 * value / longest:.1f}%">'
        "</i></div>"
        for kind, words, value in (("is-votes", "votes", votes), ("is-noise", "noise σ", sigma))
    )
    return (
        f'<figure class="signal"><div class="two-bars" aria-hidden="true">{bars}</div>'
        f"<figcaption>{escape(_signal_sentence(budget))}</figcaption></figure>"
    )


def _words_html(budget: Budget) -> str:
    adjacent = ADJACENT[budget.config.adjacency].format(units=budget.units)
    facts = {
        "ε": "The budget. The smaller, the less the result depends on any one of your "
        f"{budget.units}. Published guidance calls up to 1 strong, up to 10 reasonable and above "
        f"weak ({advice.TIERS_SOURCE}). Here, as in the report, it is weak already from about 2.9 "
        "on, where the best guess is right more than 95 % of the time. That guess follows from "
        f"{advice.GUESS_SOURCE}.",
        "δ": f"The chance that the promise of ε does not hold; far below 1 in the number of "
        f"your {budget.units}. That number is private, so it is never read from the images: "
        "type what is publicly known.",
        "Neighbours": f"{adjacent} The setting adjacency changes it.",
        "σ": "The size of the random number that is added to every count of votes.",
        "Advice": f"From {advice.ADVICE_SOURCE}; the constants are this program's own.",
    }
    words = "".join(f"<dt>{word}</dt><dd>{escape(text)}</dd>" for word, text in facts.items())
    return f'<details class="words"><summary>What this means</summary><dl>{words}</dl></details>'
