"""The options of Stable Diffusion, and how they say that images are denoised."""

from __future__ import annotations

from dataclasses import dataclass

from pe_engine.errors import ConfigError
from pe_engine.generators.checkpoints import SCHEDULERS
from pe_engine.generators.options import check_options, option

DTYPES = ("auto", "fp32", "bf16", "fp16")
MOST_LCM_STEPS = 50  # that such a model was distilled for
FEW_STEPS = ("turbo", "lcm", "lightning")  # in the name of a model that needs no more than four


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``StableDiffusion``."""

    model: str = option(
        "",
        "folder or Hugging Face id of the checkpoint; empty: the bundled one",
        opens="model",
        first=True,
    )
    variation_model: str = option(
        "", "another checkpoint for variations; empty: the same", opens="model"
    )
    steps: int | None = option(
        None,
        "denoising steps for a new image; fewer suffice turbo and LCM models",
        low=1,
        high=1000,
    )
    variation_steps: int | None = option(
        None, "denoising steps at degree 1; fewer below, in proportion", low=1, high=1000
    )
    guidance: float | None = option(
        None, "how closely new images keep to the prompt; 1 for no guidance", low=0, high=50
    )
    variation_guidance: float | None = option(None, "the same for variations", low=0, high=50)
    scheduler: str = option(
        "dpm++", "sampler of new images; own: the checkpoint's", choices=SCHEDULERS
    )
    variation_scheduler: str = option("dpm++", "sampler of variations", choices=SCHEDULERS)
    random_size: int | None = option(
        None, "pixels at which new images are made, if not the image size", low=8, high=2048
    )
    negative_prompt: str = option("", "what should not be in the images")
    template: str | None = option(
        None,
        "the prompt where none is typed; {} is the class name",
        label="Prompt where none is typed",
    )
    preview_autoencoder: str = option(
        "",
        "tiny autoencoder for look-ahead, such as madebyollin/taesd; empty: the model's",
        opens="model",
        label="Small autoencoder for look-ahead",
    )
    compile: bool = option(
        True,
        "compile the UNet on a GPU: slower at the start, then faster",
        label="Compile on a GPU",
    )
    dtype: str = option("auto", "number format of the model", choices=DTYPES, label="Number format")
    batch_size: int | None = option(
        None, "images made at once", low=1, high=4096, label="Images at once"
    )

    def __post_init__(self) -> None:
        check_options(self)
        for recipe in recipes(self):
            if recipe.scheduler == "lcm" and recipe.steps > MOST_LCM_STEPS:
                raise ConfigError(
                    f"The scheduler lcm takes at most {MOST_LCM_STEPS} steps, but there are "
                    f"{recipe.steps}. Set fewer; 4 are usual."
                )


@dataclass(frozen=True)
class Recipe:
    """How images are denoised: steps at degree 1, guidance, and the scheduler's name."""

    steps: int
    guidance: float
    scheduler: str


def recipes(options: Options) -> tuple[Recipe, Recipe]:
    """How new images and variations are made: as typed, or as suits the checkpoint."""
    steps, guidance = _usual(options.model)
    steps = options.steps or steps
    guidance = guidance if options.guidance is None else options.guidance
    fresh = Recipe(steps, guidance, options.scheduler)
    if options.variation_model:
        steps, guidance = _usual(options.variation_model)
    again = guidance if options.variation_guidance is None else options.variation_guidance
    return fresh, Recipe(options.variation_steps or steps, again, options.variation_scheduler)


def _usual(model: str) -> tuple[int, float]:
    """Steps and guidance that suit a model."""
    if not model:
        return 8, 2.0
    return (4, 1.0) if any(word in model.lower() for word in FEW_STEPS) else (20, 7.5)
