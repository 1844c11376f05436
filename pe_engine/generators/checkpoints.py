"""Finding and loading diffusers checkpoints, with a sentence for everything that may go wrong.

Only safetensors weights are loaded and no code that comes with a model is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators.miniature import MINIATURE

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

SCHEDULERS = ("dpm++", "ddim", "euler", "lcm", "own")


def find(model: str, index: str = "model_index.json") -> str:
    """Where diffusers loads ``model`` from: a local folder, or the id of a model on the hub.

    Args:
        model: a folder, a hub id such as "stable-diffusion-v1-5/stable-diffusion-v1-5", or "" for
            the bundled miniature.
        index: the file that tells that it is a model.

    Raises:
        GeneratorError: it is in neither place, or cannot be fetched.
    """
    if not model:
        return str(MINIATURE)
    if Path(model).expanduser().is_dir():
        folder = Path(model).expanduser()
        if not (folder / index).is_file():
            raise GeneratorError(
                f"The folder {model} holds no diffusers model: it has no {index}. Give the folder "
                "that has one."
            )
        return str(folder)
    _fetch(model, index)
    return model


def _fetch(model: str, file: str) -> None:
    from huggingface_hub import errors, hf_hub_download

    try:
        hf_hub_download(model, file)
    except errors.GatedRepoError as error:
        raise GeneratorError(
            f"The model {model} is gated: accept its terms at https://huggingface.co/{model} and "
            "log in with `hf auth login`, or choose another model."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise GeneratorError(
            f"There is no model {model} on the Hugging Face hub, or it is private. Check the "
            "spelling, log in with `hf auth login`, or give a local folder."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise GeneratorError(
            f"The model {model} is not on this computer and cannot be downloaded, because the hub "
            f"cannot be reached. Connect, or download it elsewhere (`hf download {model}`) and "
            "give its folder, or leave the model empty for the bundled one."
        ) from error
    except errors.EntryNotFoundError as error:
        raise GeneratorError(
            f"The model {model} is not in diffusers' format: it has no {file}. Choose one that is."
        ) from error
    except errors.HFValidationError as error:
        raise GeneratorError(
            f"There is no folder {model!r}, and no hub model has such a name. Give a folder, or an "
            "id such as stable-diffusion-v1-5/stable-diffusion-v1-5."
        ) from error
    except errors.HfHubHTTPError as error:
        raise GeneratorError(
            f"The hub did not give the model {model}: {str(error).splitlines()[0]} Try again later."
        ) from error


def load(source: str, dtype: torch.dtype, device: str) -> DiffusionPipeline:
    """The text-to-image pipeline in ``source``, on the device.

    Without a safety checker: it would replace synthetic images by black ones, and these would take
    part in the votes.

    Args:
        source: as ``find`` gave it.

    Raises:
        GeneratorError: it has no safetensors weights, or is of a kind that is not known here.
    """
    parts = _parts(source)
    unchecked = {"safety_checker": None, "feature_extractor": None}
    without = {name: None for name in unchecked if name in parts}
    if "safety_checker" in parts:
        without["requires_safety_checker"] = False
    try:
        with quiet():
            from diffusers import AutoPipelineForText2Image

            pipeline = AutoPipelineForText2Image.from_pretrained(
                source, dtype=dtype, use_safetensors=True, trust_remote_code=False, **without
            )
    except OSError as error:
        raise GeneratorError(
            f"The model {source} cannot be loaded: a part of it is missing, damaged, or has no "
            "safetensors weights (others may hold code and are not opened). Download it again, or "
            "choose another model."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _parts(source: str) -> dict[str, Any]:
    """The parts of the pipeline in ``source`` by name.

    Raises:
        GeneratorError: it is no Stable Diffusion of any kind.
    """
    with quiet():
        from diffusers import DiffusionPipeline

        parts = DiffusionPipeline.load_config(source)
    if not {"text_encoder", "unet", "vae"} <= set(parts):
        raise GeneratorError(
            f"The model {source} is a {parts['_class_name']}, which makes no images from text as "
            "Stable Diffusion does. Choose a Stable Diffusion or SDXL model."
        )
    return parts


@contextmanager
def quiet() -> Iterator[None]:
    """No bars for each file that is read, and no advice for programmers; downloads show theirs."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    logs = (diffusers_logging, transformers_logging)
    before = [log.get_verbosity() for log in logs]
    for log in logs:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.set_verbosity(level)
            log.enable_progress_bar()


def image_to_image(pipeline: DiffusionPipeline) -> DiffusionPipeline:
    """An image-to-image pipeline of the same components: nothing is loaded twice."""
    with quiet():
        from diffusers import AutoPipelineForImage2Image

        varying = AutoPipelineForImage2Image.from_pipe(pipeline)
    varying.set_progress_bar_config(disable=True)
    return varying


def scheduler(name: str, own: Any) -> Any:
    """A scheduler by its name in ``SCHEDULERS``, with the noise schedule of the model's ``own``.

    DDIM is DPM-Solver of first order (Lu et al., "DPM-Solver", 2022, section 4.1); unlike
    diffusers' own DDIM it may start at any timestep, and so at exactly a variation degree.
    """
    import diffusers

    if name == "own":
        return own.from_config(own.config)
    if name == "lcm":
        return diffusers.LCMScheduler.from_config(own.config)
    if name == "euler":
        return diffusers.EulerDiscreteScheduler.from_config(own.config, timestep_spacing="trailing")
    return diffusers.DPMSolverMultistepScheduler.from_config(
        own.config,
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",
        solver_order=1 if name == "ddim" else 2,
        use_karras_sigmas=False,
        steps_offset=0,
    )


def image_size(source: str, asked: int | None) -> int:
    """``asked`` if the model can make images of that many pixels, or its own size for None.

    Raises:
        ConfigError: it cannot.
        GeneratorError: it is no Stable Diffusion.
    """
    _parts(source)
    from diffusers import AutoencoderKL, UNet2DConditionModel

    step = 2 ** (len(AutoencoderKL.load_config(source, subfolder="vae")["block_out_channels"]) - 1)
    if asked is None:
        return step * UNet2DConditionModel.load_config(source, subfolder="unet")["sample_size"]
    if asked % step:
        below = max(asked // step, 1) * step
        raise ConfigError(
            f"The image size is {asked} pixels, but this model makes images in steps of {step}. "
            f"Choose {below} or {below + step}."
        )
    return asked
