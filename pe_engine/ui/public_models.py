"""Which models a visitor of a shared server may name."""

from __future__ import annotations

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.generators import MODEL_OPTIONS

PUBLIC_MODELS = (
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "CompVis/stable-diffusion-v1-4",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "stabilityai/sd-turbo",
    "madebyollin/taesd",
)


def check_public_models(config: RunConfig) -> None:
    """Nothing but the bundled models and ``PUBLIC_MODELS``: any other text could ask whether the
    server has a certain folder, or make it download what a visitor likes.

    Raises:
        ConfigError: another model is named.
    """
    for option in MODEL_OPTIONS:
        asked = config.generator_options.get(option) or ""
        if asked and asked not in PUBLIC_MODELS:
            raise ConfigError(
                f"This server takes no model {asked!r} for the option {option}. Leave it empty or "
                f"choose one of {', '.join(PUBLIC_MODELS)}."
            )
