"""How a generator declares an option once: its default, what it does and what it may be."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_type_hints

from pe_engine.errors import ConfigError

KINDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "text"}


def option(
    default: Any,
    text: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    opens: str = "",
    label: str = "",
    first: bool = False,
) -> Any:
    """A field of a generator's frozen ``Options`` dataclass.

    Args:
        default: None where the model decides.
        text: what the option does, in a few words.
        choices: the only texts allowed.
        low, high: bounds of a number, both included.
        opens: what a typed text makes the program open: a "model" by its folder or its id on a
            hub, a "path" on this computer, an "address" on the network, or "options" of another
            generator. A visitor of a shared server may not choose these freely, and what a path
            says of its owner's computer does not leave. "" where it is only read.
        label: what the page calls it; by default its name.
        first: the generator cannot do without it, or it decides what is drawn, so that the page
            asks for it at once and not among the advanced settings.
    """
    metadata = {"help": text, "choices": choices, "bounds": (low, high), "opens": opens}
    metadata |= {"label": label, "first": first}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Option:
    """One declared option.

    Attributes:
        kind: bool, int, float or str.
        default: of that kind; None where the model decides.
        choices: the only texts allowed; empty if any are.
        bounds: of a number, None where there is none.
        opens, label, first: see ``option``.
    """

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...]
    bounds: tuple[float | None, float | None]
    opens: str
    label: str
    first: bool

    @property
    def title(self) -> str:
        """What the page calls it."""
        return self.label or self.name.replace("_", " ").capitalize()

    def parse(self, text: str) -> Any:
        """The value that ``text`` means; "auto" and "" are None where the model may decide.

        Raises:
            ValueError: it is no such value.
        """
        if self.default is None and text.strip().lower() in ("", "auto"):
            return None
        if self.kind is not bool:
            return self.kind(text)
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in truth:
            raise ValueError(text)
        return truth[text.lower()]

    def check(self, value: Any) -> None:
        """Raises ConfigError unless ``value`` is allowed."""
        if value is None and self.default is None:
            return
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"The option {self.name} is {value!r}, but must be one of "
                f"{', '.join(self.choices)}."
            )
        low, high = self.bounds
        number = self.kind in (int, float)
        fitting = (int, float) if self.kind is float else self.kind
        if not isinstance(value, fitting) or (number and isinstance(value, bool)):
            raise ConfigError(
                f"The option {self.name} is {value!r}, but must be {KINDS[self.kind]}."
            )
        if number and not (low is None or low <= value) & (high is None or value <= high):
            typed = repr(value).removesuffix(".0")
            raise ConfigError(
                f"The option {self.name} is {typed}, but must lie from {low:g} to {high:g}. "
                "Change it."
            )


def declared(options: type) -> list[Option]:
    """The options of a dataclass, in the order it declares them."""
    hints = get_type_hints(options)
    return [
        # the kind of "int | None" is int
        Option(f.name, (get_args(hints[f.name]) or (hints[f.name],))[0], f.default, **f.metadata)
        for f in fields(options)
    ]


def check_options(options: Any) -> None:
    """Raises ConfigError unless every value of a dataclass of options is allowed."""
    for one in declared(type(options)):
        one.check(getattr(options, one.name))
