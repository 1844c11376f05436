"""What a visitor of a shared server may have it open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pe_engine.components import checked_options, generator_class, generator_options
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS

PUBLIC_MODELS = (
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "CompVis/stable-diffusion-v1-4",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "stabilityai/sd-turbo",
    "madebyollin/taesd",
)
PAID = ("hf_inference", "openai_images")
"""Generators that spend the key of whoever runs the server."""

WITH_PATHS = ("image_pool", "improved_diffusion")
"""Generators that cannot do without a path on the server."""


class NotPublic(ConfigError):
    """Only who owns the machine may have it open this."""


def shown_generators(owner: bool) -> list[str]:
    """The generators that the page offers."""
    return [name for name in GENERATORS if owner or name not in PAID + WITH_PATHS]


def check_public(config: RunConfig) -> None:
    """Nothing but the bundled models and ``PUBLIC_MODELS``, no path, no address and nobody's key:
    any other text could ask whether the server has a certain folder, make it download what a
    visitor likes, or send its key to a stranger.

    Raises:
        NotPublic: something else is asked for.
        ConfigError: an option's value is none.
    """
    if config.initial:
        raise NotPublic("This server opens no path. Leave the field 'Start from' empty.")
    _check_options(config.generator, config.generator_options)


def is_public(config: RunConfig) -> bool:
    """Whether ``check_public`` lets it pass."""
    try:
        check_public(config)
    except ConfigError:
        return False
    return True


def _check_options(generator: str, given: Mapping[str, Any]) -> None:
    if generator not in shown_generators(owner=False):
        raise NotPublic(
            f"This server does not offer the generator {generator!r}. Choose one of "
            f"{', '.join(shown_generators(owner=False))}."
        )
    options = checked_options(generator, given)
    for option in generator_options(generator):
        asked = getattr(options, option.name)
        if option.opens == "model" and asked and asked not in PUBLIC_MODELS:
            raise NotPublic(
                f"This server takes no model {asked!r} for the option {option.name}. Leave it "
                f"empty or choose one of {', '.join(PUBLIC_MODELS)}."
            )
        if option.opens in ("path", "address") and asked != option.default:
            raise NotPublic(
                f"This server opens no {option.opens} that is typed for the option {option.name}. "
                f"Leave it {option.default or 'empty'}."
            )
    for part in generator_class(generator).parts(options):
        _check_options(*part)
