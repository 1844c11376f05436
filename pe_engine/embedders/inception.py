"""The features that the Fréchet inception distance (FID) is measured on."""

from __future__ import annotations

import hashlib
import io
import pickle
from functools import partial
from typing import TYPE_CHECKING

from pe_engine.embedders.inception_layers import FEATURES, fold, pool_features
from pe_engine.embedders.network import Inputs, NetworkEmbedder
from pe_engine.embedders.weights import WEIGHTS, damaged, fetch

if TYPE_CHECKING:
    import torch

# [0, 1] -> [-1, 1], as in github.com/mseitzer/pytorch-fid
INPUTS = Inputs(299, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Inception(NetworkEmbedder):
    """The 2,048 averages of the last layer of FID's Inception v3 ("pool3").

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium", 2017; resized as clean-fid does, see ``network.prepare``.
    """

    summary = (
        "the Inception features of the FID, 2,048 numbers; for photographs; downloads 96 MB once"
    )

    def __init__(self, image_size: int, device: str, grey: bool) -> None:
        weights = {
            name: (kernel.to(device), bias.to(device))
            for name, (kernel, bias) in fold(read_weights()).items()
        }
        network = partial(pool_features, weights=weights)
        super().__init__(network, FEATURES, INPUTS, device)


def read_weights() -> dict[str, torch.Tensor]:
    """The published network's parameters by name, on the host.

    Raises:
        GeneratorError: they cannot be had, or the cached file is not the published one.
    """
    import torch

    path = fetch("inception")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != WEIGHTS["inception"].sha256:
        raise damaged("inception", path)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise damaged("inception", path) from error
