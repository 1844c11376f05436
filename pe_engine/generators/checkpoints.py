"""Finding and loading diffusers checkpoints, with a sentence for everything that may go wrong.

Only safetensors weights are loaded and no code that comes with a model is run.
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe_engine import hub
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators.miniature import MINIATURE

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

SCHEDULERS = ("dpm++", "ddim", "euler", "lcm", "own")
# A scheduler that spaces its noise levels in such a way does not take timesteps.
SPACED = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas")


@dataclass(frozen=True)
class Source:
    """Where diffusers loads a model from.

    Attributes:
        name: a local folder, or the id of a model on the hub.
        local: nothing is to be downloaded.
    """

    name: str
    local: bool

    def config(self, kind: type, **where: str) -> dict[str, Any]:
        """The configuration that ``kind`` keeps of this model.

        Raises:
            GeneratorError: there is none.
        """
        with quiet(), self._readable():
            return dict(kind.load_config(self.name, local_files_only=self.local, **where))

    def load(self, kind: type, dtype: torch.dtype, **parts: Any) -> Any:
        """A model or pipeline with safetensors weights.

        Raises:
            GeneratorError: it cannot be loaded.
        """
        with quiet(), self._readable():
            return kind.from_pretrained(
                self.name, dtype=dtype, use_safetensors=True, local_files_only=self.local, **parts
            )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns what the libraries raise for a model that cannot be read into a sentence."""
        from huggingface_hub.errors import XetDownloadError
        from huggingface_hub.utils import httpx
        from safetensors import SafetensorError

        try:
            yield
        except (httpx.HTTPError, XetDownloadError) as error:
            raise GeneratorError(
                f"The download of the model {self.name} broke off. Start again (what has arrived "
                "is kept), or choose another model."
            ) from error
        except (
            *(OSError, ValueError, KeyError, AttributeError, RuntimeError),
            SafetensorError,
        ) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                reason = hub.not_stored(error)
                raise GeneratorError(
                    f"The model {self.name} cannot be downloaded: {reason.reason}. {reason.remedy}."
                ) from error
            raise GeneratorError(
                f"The model {self.name} cannot be loaded: a part of it is missing, damaged, or has "
                "no safetensors weights (others may hold code and are not opened). Download it "
                "again, or choose another model."
            ) from error


def find(model: str, index: str = "model_index.json") -> Source:
    """Where ``model`` is: a local folder, the hub's cache, or the hub.

    Args:
        model: a folder, a hub id such as "stable-diffusion-v1-5/stable-diffusion-v1-5", or "" for
            the bundled miniature.
        index: the file that tells that it is a model.

    Raises:
        GeneratorError: it is in none of these places, or cannot be fetched.
    """
    folder = _folder(model) if model else MINIATURE
    if folder is not None:
        if not (folder / index).is_file():
            raise GeneratorError(
                f"The folder {model} holds no diffusers model: it has no {index}. Give the folder "
                "that has one."
            )
        return Source(str(folder), local=True)
    if not hub.is_name(model):
        raise GeneratorError(
            f"There is no folder {model[:200]!r}, and no hub model has such a name. Give a folder, "
            "or an id such as stable-diffusion-v1-5/stable-diffusion-v1-5."
        )
    if hub.cached(model, [index]):
        return Source(model, local=not hub.reachable())
    try:
        hub.download(model, [index])
    except hub.Refused as refusal:
        raise GeneratorError(
            f"The model {model} is not on this computer, and {refusal.reason}. {refusal.remedy}, "
            "or leave the model empty for the bundled one."
        ) from refusal
    return Source(model, local=False)


def _folder(model: str) -> Path | None:
    try:
        folder = Path(model).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # no file can be called so, or no user
        return None


def load(source: Source, dtype: torch.dtype, device: str) -> DiffusionPipeline:
    """The text-to-image pipeline in ``source``, on the device.

    Without a safety checker: it would replace synthetic images by black ones, and these would take
    part in the votes.

    Raises:
        GeneratorError: it cannot be loaded, or is no Stable Diffusion.
    """
    parts = _parts(source)
    without = {name: None for name in ("safety_checker", "feature_extractor") if name in parts}
    if "safety_checker" in parts:
        without["requires_safety_checker"] = False
    with quiet():
        from diffusers import AutoPipelineForText2Image
    pipeline = source.load(AutoPipelineForText2Image, dtype, trust_remote_code=False, **without)
    pipeline.set_progress_bar_config(disable=True)
    return on_device(pipeline, device)


def on_device(model: Any, device: str) -> Any:
    """The model or pipeline on the device.

    Raises:
        GeneratorError: it does not fit.
    """
    import torch

    try:
        return model.to(device)
    except torch.OutOfMemoryError as error:
        raise GeneratorError(
            "The model does not fit into the memory of the GPU. Choose a smaller model, close "
            "other programs that use the GPU, or set the device to cpu."
        ) from error


def _parts(source: Source) -> dict[str, Any]:
    """The parts of the pipeline in ``source`` by name.

    Raises:
        GeneratorError: it is no Stable Diffusion of any kind.
    """
    with quiet():
        from diffusers import DiffusionPipeline

    parts = source.config(DiffusionPipeline)
    if not {"text_encoder", "unet", "vae"} <= set(parts):
        raise GeneratorError(
            f"The model {source.name} is a {parts.get('_class_name')}, which makes no images from "
            "text as Stable Diffusion does. Choose a Stable Diffusion or SDXL model."
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
    plain = {"timestep_spacing": "trailing", **dict.fromkeys(SPACED, False)}
    if name == "euler":
        del plain["use_lu_lambdas"]
        return diffusers.EulerDiscreteScheduler.from_config(own.config, **plain)
    return diffusers.DPMSolverMultistepScheduler.from_config(
        own.config,
        algorithm_type="dpmsolver++",
        solver_order=1 if name == "ddim" else 2,
        steps_offset=0,
        **plain,
    )


def takes_timesteps(chosen: Any) -> bool:
    """Whether a scheduler can begin at any timestep."""
    parameters = inspect.signature(chosen.set_timesteps).parameters
    return "timesteps" in parameters and not any(chosen.config.get(name) for name in SPACED)


def image_size(source: Source, asked: int | None) -> int:
    """``asked`` if the model can make images of that many pixels, or its own size for None.

    Raises:
        ConfigError: it cannot.
        GeneratorError: it is no Stable Diffusion.
    """
    _parts(source)
    from diffusers import AutoencoderKL, UNet2DConditionModel

    vae = source.config(AutoencoderKL, subfolder="vae")
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    step = max(8, factor)  # diffusers makes no others
    if asked is None:
        return factor * source.config(UNet2DConditionModel, subfolder="unet")["sample_size"]
    if asked % step:
        below = max(asked // step, 1) * step
        raise ConfigError(
            f"The image size is {asked} pixels, but this model makes images in steps of {step}. "
            f"Choose {below} or {below + step}."
        )
    return asked
