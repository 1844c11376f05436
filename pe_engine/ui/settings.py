"""What the page's fields say, as a RunConfig, and what the settings mean, as a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from pe_engine.checks import check_one_of
from pe_engine.components import generator_options, parse_generator_options
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
Number = TypeVar("Number", int, float)


def read_config(
    fields: Mapping[str, Any], options: Sequence[tuple[str, str]], class_names: Sequence[str]
) -> RunConfig:
    """The run that the fields describe.

    Args:
        fields: value of each field by its ``RunConfig`` name; numbers may be text.
        options: the chosen generator's options, as (name, text).
        class_names: of the private data; ``class: prompt`` lines are bound by them.

    Raises:
        ConfigError: the first field that cannot be used.
    """
    check_one_of("generator", fields["generator"], tuple(GENERATORS))  # no file is run from a page
    prompts, class_prompts = read_prompts(fields["prompts"] or "", class_names)
    return RunConfig(
        dataset_name=(fields["dataset_name"] or "").strip(),
        generator=fields["generator"],
        generator_options=parse_generator_options(fields["generator"], options),
        initial=(fields["initial"] or "").strip(),
        embedder=fields["embedder"],
        metric=fields["metric"],
        neighbours=number("neighbours", fields["neighbours"], int),
        search=fields["search"],
        epsilon=number("ε (epsilon)", fields["epsilon"], float),
        delta=number("δ (delta)", fields["delta"], float),
        adjacency=fields["adjacency"],
        epsilon_cap=optional_number("cap on ε", fields["epsilon_cap"]),
        iterations=number("number of iterations", fields["iterations"], int),
        num_samples=numbers("number of samples", fields["num_samples"], int),
        lookahead=number("look-ahead", fields["lookahead"], int),
        threshold=optional_number("threshold H", fields["threshold"]),
        selection=fields["selection"],
        keep_selected=bool(fields["keep_selected"]),
        fresh_children=bool(fields["fresh_children"]),
        degrees=numbers("variation degrees", fields["degrees"], float),
        classes=fields["classes"],
        class_names=names(fields["class_names"]),
        class_map=read_class_map(fields["class_map"]),
        persons=fields["persons"],
        person_votes=number("votes of a person", fields["person_votes"], int),
        public_class_names=bool(fields["public_class_names"]),
        prompts=prompts,
        class_prompts=class_prompts,
        image_size=optional_number("image size", fields["image_size"], int),
        seed=number("seed", fields["seed"], int),
        device=fields["device"],
        keep_features=bool(fields["keep_features"]),
    )


def read_prompts(
    text: str, class_names: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """One prompt a line; a line ``class: text`` that begins with a known class is that class's.

    Where one class is called as another with a colon after it, the longer name is meant.

    Returns:
        the prompts of all classes, and those of one class by its name.
    """
    for_all: list[str] = []
    by_class: dict[str, tuple[str, ...]] = {}
    known = sorted(filter(None, class_names), key=len, reverse=True)
    for line in filter(None, map(str.strip, text.splitlines())):
        name = next((name for name in known if line.startswith(f"{name}:")), "")
        prompt = line[len(name) + 1 :].strip()
        if name and prompt:
            by_class[name] = (*by_class.get(name, ()), prompt)
        else:
            for_all.append(line)
    return tuple(for_all), by_class


def shown_fields(config: RunConfig) -> dict[str, Any]:
    """What the fields say for these settings; ``read_config`` reads it back unchanged."""
    lines = [*config.prompts]
    lines += [f"{name}: {text}" for name, texts in config.class_prompts.items() for text in texts]
    special = {
        "prompts": "\n".join(lines),
        "num_samples": ", ".join(map(str, config.num_samples)),
        "class_names": write_names(config.class_names),
        "class_map": write_class_map(config.class_map),
        "degrees": ", ".join(map(str, config.degrees)) or "auto",
        "threshold": "auto" if config.threshold is None else str(config.threshold),
        "epsilon_cap": "" if config.epsilon_cap is None else str(config.epsilon_cap),
        "image_size": "auto" if config.image_size is None else str(config.image_size),
        "delta": str(config.delta).replace("e-0", "e-"),
    }
    return {
        name: special.get(name, value if isinstance(value, (bool, str)) else str(value))
        for name, value in vars(config).items()
    }


def shown_options(generator: str, config: RunConfig) -> dict[str, Any]:
    """What the fields of a generator's options say; the defaults if ``config`` has another one."""
    given = config.generator_options if generator == config.generator else {}
    values = {o.name: given.get(o.name, o.default) for o in generator_options(generator)}
    return {
        name: value if isinstance(value, bool) else "auto" if value is None else str(value)
        for name, value in values.items()
    }


def option_titles(generator: Any) -> dict[str, str]:
    """What the page calls the options of a generator, by their names; none of an unknown one."""
    if generator not in GENERATORS:
        return {}
    return {option.name: option.title for option in generator_options(generator)}


def decimal(value: float) -> str:
    """ε to four significant digits, always with a decimal point: '1.0', '0.6701', '12.5'."""
    text = f"{value:.4g}"
    return text if "." in text or "e" in text else f"{text}.0"


def number(name: str, value: Any, kind: Callable[[Any], Number]) -> Number:
    """``value`` (a number, or text) as ``kind``, which is int or float.

    Raises:
        ConfigError: empty, or no such number.
    """
    if value is None or not str(value).strip():
        raise ConfigError(f"The {name} is empty. Type a number.")
    try:
        return _whole(str(value).strip()) if kind is int else kind(_pointed(value))
    except (ValueError, ArithmeticError) as error:
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"The {name} is {value!r}, which is not {what}. Change it.") from error


def _pointed(value: Any) -> Any:
    """A decimal comma as a point; one that may divide thousands stays, and is refused."""
    text = str(value).strip()
    if _DECIMAL_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text):
        return text.replace(",", ".")
    return value


def _whole(text: str) -> int:
    # Not int(): 1000.0 and 1e3 are whole numbers too, and 3.5 must not become 3.
    exact = Decimal(text)
    if not abs(exact) < 2**63 or exact != exact.to_integral_value():
        raise ValueError(text)
    return int(exact)


def optional_number(name: str, value: Any, kind: Callable[[Any], Number] = float) -> Number | None:
    """A number, or None where the field is empty or says 'auto'.

    Raises:
        ConfigError: neither.
    """
    if value is None or str(value).strip().lower() in ("", "auto"):
        return None
    return number(name, value, kind)


def numbers(name: str, value: Any, kind: Callable[[Any], Number]) -> tuple[Number, ...]:
    """Numbers separated by commas; none where the field is empty or says 'auto'.

    Raises:
        ConfigError: a part is no number.
    """
    text = "" if value is None else str(value).strip()
    if text.lower() in ("", "auto"):
        return ()
    return tuple(number(name, part.strip(), kind) for part in text.split(","))


def names(value: Any) -> tuple[str, ...]:
    """Names separated by commas; none where the field is empty."""
    text = "" if value is None else str(value)
    return tuple(filter(None, map(str.strip, text.split(","))))


def write_names(class_names: Sequence[str]) -> str:
    """What ``names`` reads.

    Raises:
        ConfigError: a name has a comma.
    """
    if odd := next((name for name in class_names if "," in name), ""):
        raise ConfigError(f"The class {odd!r} has a comma in its name. Rename it first.")
    return ", ".join(class_names)


def read_class_map(value: Any) -> dict[str, str]:
    """What classes are called, as the page's table of them wrote it: JSON, or nothing.

    Raises:
        ConfigError: something else.
    """
    try:
        read = json.loads(value or "{}")
    except (ValueError, RecursionError, TypeError):
        read = None
    if not isinstance(read, dict) or not all(isinstance(new, str) for new in read.values()):
        raise ConfigError("The names of the classes cannot be read. Reload the page.")
    return read


def write_class_map(class_map: Mapping[str, str]) -> str:
    """What ``read_class_map`` reads."""
    return json.dumps(dict(class_map), ensure_ascii=False) if class_map else ""


def check_class_map(fields: Mapping[str, Any]) -> None:
    """Raises ConfigError where a class cannot be called as the fields say."""
    RunConfig(
        dataset_name="any",
        classes=fields["classes"],
        class_names=names(fields["class_names"]),
        class_map=read_class_map(fields["class_map"]),
    )
