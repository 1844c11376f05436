"""What visitors of a shared server may have it load."""

import pytest

from pe_engine.components import generator_options
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS
from pe_engine.ui.public_models import MODEL_OPTIONS, PUBLIC_MODELS, check_public_models

PLAIN_TEXTS = {"negative_prompt", "template"}  # reach the text encoder and nothing else


def config(**options):
    return RunConfig(
        dataset_name="x", generator="stable_diffusion", generator_options={"steps": 2, **options}
    )


@pytest.mark.parametrize("option", MODEL_OPTIONS)
def test_only_public_models_may_be_named(option):
    check_public_models(config())
    for model in ("", *PUBLIC_MODELS):
        check_public_models(config(**{option: model}))
    for model in ("/etc", "~", ".", "someone/else", " " + PUBLIC_MODELS[0], "../main"):
        with pytest.raises(ConfigError, match=f"for the option {option}"):
            check_public_models(config(**{option: model}))


def test_every_option_that_may_hold_any_text_is_known():
    """A new one must be put among the models or among the plain texts."""
    free = {
        option.name
        for generator in GENERATORS
        for option in generator_options(generator)
        if option.kind is str and not option.choices
    }
    assert free == {*MODEL_OPTIONS, *PLAIN_TEXTS}
