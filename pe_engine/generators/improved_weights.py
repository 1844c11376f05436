"""Weights of improved-diffusion models: from their file, with a sentence for all that may go wrong.

Files of PyTorch can hold code; only tensors are read, and none of it is run.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pe_engine.errors import ConfigError, GeneratorError

if TYPE_CHECKING:
    import torch

    from pe_engine.generators.improved_unet import Shape, UNet

PUBLISHED = (
    "https://openaipublic.blob.core.windows.net/diffusion/march-2021/imagenet64_cond_270M_250K.pt"
)
STARTS = (b"PK", b"\x80")  # of a zip, as PyTorch writes since 2020, and of a pickle, as before


def found(model_path: str) -> Path:
    """The file of the weights.

    Raises:
        ConfigError: no path is given, or there is no such file.
    """
    if not model_path.strip():
        raise ConfigError(
            "improved_diffusion needs the weights of a model. Download the published one (1.1 GB) "
            f"from {PUBLISHED} and set the option model_path to it."
        )
    try:
        path = Path(model_path).expanduser()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError):  # no file can be called so, or no user
        is_file = False
    if not is_file:
        raise ConfigError(
            f"There is no file {model_path[:200]!r}, which the option model_path names. Check the "
            f"path; the published weights are at {PUBLISHED}."
        )
    check_start(path)
    return path


def check_start(path: Path) -> None:
    """Raises ConfigError unless the file begins as those of PyTorch do."""
    with path.open("rb") as file:
        if not file.read(2).startswith(STARTS):
            raise ConfigError(
                f"The file {path.name} is none that PyTorch has written. Give the .pt file of the "
                f"weights; the published ones are at {PUBLISHED}."
            )


def load(path: Path, shape: Shape) -> tuple[UNet, str]:
    """The network with the weights in ``path``, in float32 on the CPU, and the file's SHA-256.

    Raises:
        GeneratorError: the file cannot be read, holds something else, or weights of another shape.
    """
    import torch

    from pe_engine.generators.improved_unet import UNet

    try:
        with path.open("rb") as file:
            sha256 = _sha256(file)
            weights = _tensors(file, path)
    except OSError as error:
        raise GeneratorError(
            f"The file {path.name} cannot be read: {error.strerror or error}. Check its "
            "permissions, or copy it again."
        ) from error
    with torch.device("meta"):  # nothing is allocated, as every tensor is replaced
        network = UNet(shape)
    _check(weights, network.state_dict(), path)
    network.load_state_dict(weights, strict=True, assign=True)
    return network.float().requires_grad_(False).eval(), sha256


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _tensors(file: BinaryIO, path: Path) -> Mapping[str, Any]:
    """What the file holds, read without running any of it."""
    import torch

    file.seek(0)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GeneratorError(
            f"The file {path.name} holds more than weights: it may hold code, which is not run, "
            "or is damaged. Give a file of a state dict only."
        ) from error
    except (
        *(RuntimeError, OSError, EOFError, ValueError),
        *(KeyError, IndexError, AttributeError, TypeError),
    ) as error:
        raise GeneratorError(
            f"The file {path.name} is damaged or incomplete. Download or copy it again."
        ) from error


def _check(weights: Any, expected: Mapping[str, torch.Tensor], path: Path) -> None:
    """Raises GeneratorError unless names and shapes are those expected and all are floats."""
    import torch

    if not isinstance(weights, Mapping):
        raise GeneratorError(
            f"The file {path.name} holds a {type(weights).__name__}, but no state dict: tensors by "
            "name. Give the .pt file of the weights."
        )
    wrong = None
    for name, tensor in expected.items():
        given = weights.get(name)
        if given is None:
            wrong = f"has no {name}"
        elif not isinstance(given, torch.Tensor) or not given.is_floating_point():
            wrong = f"holds something else than floats as {name}"
        elif given.shape != tensor.shape:
            wrong = f"has {name} of shape {_by(given)}, which should be {_by(tensor)}"
        if wrong:
            break
    else:
        unexpected = [name for name in weights if name not in expected]
        wrong = f"has an unexpected {str(unexpected[0])[:100]}" if unexpected else None
    if wrong:
        millions = sum(tensor.numel() for tensor in expected.values()) / 1e6
        raise GeneratorError(
            f"The file {path.name} {wrong}. The options make a model of {millions:.1f} M "
            f"parameters in {len(expected)} tensors; set them (num_channels, num_res_blocks, "
            "class_cond, learn_sigma, model_image_size, ...) as for the training of this file."
        )


def _by(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
