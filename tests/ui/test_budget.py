"""What the page says of a budget before anything is spent."""

import re
from html.parser import HTMLParser

import pytest

from pe_engine import statement
from pe_engine.errors import ConfigError
from pe_engine.ui.budget import budget_html, budget_sentence, read_budget, spoken
from pe_engine.ui.sentences import problem_html
from pe_engine.ui.settings import number

FIELDS = {
    "epsilon": "1.0",
    "delta": "1e-5",
    "iterations": "5",
    "neighbours": "1",
    "adjacency": "add-remove",
    "threshold": "auto",
    "initial": "",
    "persons": "none",
    "person_votes": "1",
    "num_samples": "300",
    "estimate": "",
}
KNOWN = {"estimate": "5,000"}


def said(**changed):
    return budget_html(read_budget(FIELDS | changed))


def test_the_budget_in_a_sentence():
    assert budget_sentence(read_budget(FIELDS)) == (
        "σ = 8.34 votes of noise per candidate; ε = 1.0 for each image after 5 generations"
    )
    persons = FIELDS | {"persons": "prefix", "person_votes": "2"}
    assert budget_sentence(read_budget(persons)) == (
        "σ = 11.8 votes of noise per candidate; ε = 1.0 for each person after 5 generations"
    )
    for field in ("epsilon", "estimate"):
        with pytest.raises(ConfigError, match=r"must (lie|be a whole number)"):
            read_budget(FIELDS | {field: "-1"})


@pytest.mark.parametrize(
    ("epsilon", "words", "guess"),
    [
        ("0.1", "strong", "52.5 %"),
        ("1", "strong", "73.2 %"),
        ("2.5", "reasonable", "92.5 %"),
        ("5", "weak", "99.4 %"),
        ("20", "weak", "100 %"),
    ],
)
def test_the_promise_in_words(epsilon, words, guess):
    told = said(epsilon=epsilon)
    assert re.search(rf"a {words} promise.*<b>{guess}</b>", told)
    assert (statement.WEAK in told) == (words == "weak")
    assert "**" not in told + spoken(read_budget(FIELDS | {"epsilon": epsilon}))


def test_the_promise_is_told_as_in_the_report():
    epsilon = read_budget(FIELDS | {"persons": "prefix"}).plan.epsilons[-1]
    told = statement.guess_told(epsilon, 1e-5, "add-remove", False)
    assert told.replace("**", "") in spoken(read_budget(FIELDS | {"persons": "prefix"}))
    assert "the remaining one" in said(adjacency="replace")


def test_a_delta_that_gives_away_an_image_is_warned_of_once_their_number_is_typed():
    assert "warning" not in said(delta="0.001")
    assert "above 1 / 5,000 = 0.0002" in said(delta="0.001", **KNOWN)
    assert "warning" not in said(delta="1e-5", **KNOWN)


def test_votes_against_noise_only_for_a_typed_estimate():
    assert "two-bars" not in said() and "average candidate" not in spoken(read_budget(FIELDS))
    told = spoken(read_budget(FIELDS | KNOWN))
    assert "about 16.7 votes, and the noise on them is 8.34. Votes stand out" in told
    assert "lost in the noise" in said(num_samples="3000", **KNOWN)
    assert "favourites stand out" in said(num_samples="400", **KNOWN)
    assert "two-bars" not in said(num_samples="", **KNOWN)  # while it is being typed


def test_advice_is_taken_over_by_a_button_until_it_is_followed():
    told = said(num_samples="1000", iterations="9", **KNOWN)
    assert 'data-samples="300" data-iterations="5"' in told and "300 samples" in told
    followed = said(**KNOWN)
    assert "use-advice" not in followed and "suit the noise well" in followed
    assert "hide nearly all votes" in said(estimate="20")
    assert "use-advice" not in said()


def test_epsilon_stands_under_the_point_of_its_generation():
    told = said()
    at, texts = zip(*re.findall(r'<li style="left:([\d.]+)%">(.*?)</li>', told), strict=True)
    assert texts[0] == "0" and texts[-1] == "1.0" and len(texts) == 6
    assert [float(n) for n in texts] == sorted(map(float, texts))
    dots = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', told)]
    assert [float(x) for x in at] == pytest.approx([100 * (x + 3) / 246 for x in dots], abs=0.1)
    assert len(re.findall(r"<li ", said(iterations="30"))) == 7
    assert "after generation 0, 5, 10, 15, 20, 25, 30<" in said(iterations="30")


def test_sources_are_named_and_what_is_compared_is_explained():
    assert "How to DP-fy ML" in said() and "with one more" in said()
    assert "in which one is another" in said(adjacency="replace")
    assert "your persons" in said(persons="prefix")


class Balance(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_html_is_closed():
    assert Balance(said(delta="0.01", num_samples="7", **KNOWN)).open == []


@pytest.mark.parametrize("typed", ["0", "1.5", "30, x", "-2"])
def test_samples_are_checked_as_they_are_typed(typed):
    with pytest.raises(ConfigError, match="number of samples"):
        said(num_samples=typed)


def test_a_sentence_names_its_field():
    for field, typed, at in [
        ("iterations", "0", "field-iterations"),
        ("delta", "x", "field-delta"),
    ]:
        with pytest.raises(ConfigError) as wrong:
            said(**{field: typed})
        assert f'data-field="{at}"' in problem_html(wrong.value)
    assert "data-field" not in problem_html(ConfigError("The <b> is wrong."))


@pytest.mark.parametrize(("typed", "means"), [("1,5", 1.5), ("0,00001", 1e-5), (",5", 0.5)])
def test_a_decimal_comma(typed, means):
    assert number("ε (epsilon)", typed, float) == means


@pytest.mark.parametrize("typed", ["1,000", "1,2,3", "1.5,2"])
def test_a_comma_that_may_divide_thousands_is_refused(typed):
    with pytest.raises(ConfigError, match="not a number"):
        number("ε (epsilon)", typed, float)
