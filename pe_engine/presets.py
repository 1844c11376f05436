"""Whole sets of settings with a name, to start from; whatever is typed beside one replaces it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

FIRST = "handwriting"
"""What the page's fields say at first, without a GPU."""

FIRST_ON_GPU = "photographs"


def first(gpu: bool) -> str:
    """The preset that the page begins with on this hardware."""
    return FIRST_ON_GPU if gpu else FIRST


@dataclass(frozen=True)
class Preset:
    """Settings that go well together.

    Attributes:
        title: what it is called on the page.
        summary: one line on what it is for.
        settings: values by their ``RunConfig`` name; what is not here has ``RunConfig``'s default.
    """

    title: str
    summary: str
    settings: Mapping[str, Any]


# The two cat runs of microsoft/DPSDA at commit 86f38e3: scripts/main_stable_diffusion_cookie.sh and
# main_stable_diffusion_doudou.sh, which differ in the name of the cat alone.
_CATS = {
    "generator": "stable_diffusion",
    "generator_options": {
        "model": "CompVis/stable-diffusion-v1-4",  # for variations too, as are steps and guidance
        "steps": 50,
        "guidance": 7.5,
        # Not the checkpoint's own PNDM, which they used: its image-to-image starts one step off
        # the noise level that the degree asks for (its plan repeats a timestep).
        "scheduler": "dpm++",
        "variation_scheduler": "dpm++",
    },
    "prompts": ("A photo of ragdoll cat",),
    "classes": "none",
    "image_size": 512,
    "num_samples": (100,),
    "lookahead": 8,
    "threshold": 2.0,
    # Their schedule has 18 entries. The first, 1.0, belongs to generation 0, which is drawn and not
    # varied, so that it was never used: 17 generations are voted for.
    "iterations": 17,
    "degrees": (
        *(0.98, 0.96, 0.94, 0.92, 0.88, 0.84, 0.80, 0.76, 0.72),
        *(0.68, 0.64, 0.60, 0.56, 0.52, 0.48, 0.44, 0.40),
    ),
    # They set σ = 2 votes and no budget. 17 votes with σ = 2 cost ε = 7.878 at δ = 1e-3 by
    # privacy.accounting; rounded down, so that σ comes out at 2 or a little above.
    "epsilon": 7.87,
    "delta": 1e-3,
    "embedder": "inception",
}

_WEIGHTS = "models/imagenet64_cond_270M_250K.pt"  # where the seed's models/get_models.sh puts them

# microsoft/DPSDA at commit 86f38e3: scripts/main_improved_diffusion_cifar10_conditional.sh and
# main_improved_diffusion_cifar10_unconditional.sh, which differ in gen_class_cond alone. What they
# say of the model are the generator's defaults. The private images have 32 pixels; here they are
# enlarged to the model's 64 before they are embedded.
_CIFAR10 = {
    "generator": "improved_diffusion",
    "generator_options": {
        "model_path": _WEIGHTS,
        "timestep_respacing": "100",
        # Their schedule is 0,2,4,...,40. Its first entry belongs to generation 0, as with the cats.
        "variation_degree_schedule": ",".join(map(str, range(2, 41, 2))),
    },
    "image_size": 64,
    "num_samples": (50_000,),
    "lookahead": 8,
    "threshold": 10.0,
    "fresh_children": True,  # as theirs are; 400,000 look-ahead images need not be kept, either
    "iterations": 20,
    # They set σ = 7.071 votes and no budget. 20 votes with it cost ε = 2.59446 by
    # privacy.accounting at δ = 1e-5, the paper's for CIFAR-10; rounded down.
    "epsilon": 2.594,
    "delta": 1e-5,
    "embedder": "inception",
}

# Likewise scripts/main_improved_diffusion_camelyon17_conditional.sh.
_CAMELYON17 = {
    "generator": "improved_diffusion",
    "generator_options": {
        "model_path": _WEIGHTS,
        "timestep_respacing": "ddim10",
        # Theirs has five of each number, of which the very first was never used.
        "variation_degree_schedule": "0,0,0,0,1,1,1,1,1,2,2,2,2,2,3,3,3,3,3",
    },
    "image_size": 64,
    "num_samples": (302_436,),  # as many as private images; 3.5 GiB for a population
    "lookahead": 8,
    "threshold": 4.0,
    "fresh_children": True,
    "iterations": 19,
    # They set σ = 2.1793 votes. 19 votes with it cost ε = 10.5395 by privacy.accounting at
    # δ = 3e-6, the paper's for Camelyon17 (whose ε of 9.92 is for another σ and 29 votes).
    "epsilon": 10.539,
    "delta": 3e-6,
    "embedder": "inception",
}

# microsoft/DPSDA at commit 9078c67: example/image/simulator/mnist_text_render.py, the MNIST run of
# Sim-PE (arXiv 2502.05505), with this text simulator in place of theirs.
_MNIST = {
    "generator": "text_render",
    "generator_options": {"rotation": 30.0},  # degrees either way, as theirs
    "image_size": 28,
    "num_samples": (60_000,),
    "lookahead": 8,
    "threshold": 1.0,
    "fresh_children": True,
    "iterations": 4,
    # They have a schedule for each of four parameters: chances of a new font 0.8, 0.4, 0.2, 0, and
    # reaches of size 5, 4, 3, 2 of 19, of rotation 9, 7, 5, 3 of 60 and of stroke 1, 1, 0, 0 of 2
    # (the first entry of each again unused). Here one degree is chance and reach of all: their
    # mean over the four.
    "degrees": (0.43, 0.31, 0.11, 0.04),
    "epsilon": 10.0,
    "delta": 1.66e-6,  # theirs is 1 / (n ln n) = 1.6657e-6 for n = 55,000 images, rounded down
    "embedder": "inception",
}

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "handwriting": Preset(
            "Handwriting",
            "letters and digits from a bundled miniature of Stable Diffusion; no download, no GPU",
            {
                "generator": "stable_diffusion",
                "num_samples": (300,),
                "lookahead": 3,
                "iterations": 5,
            },
        ),
        "text": Preset(
            "Text",
            "a class name or prompt drawn as text; the fastest, in seconds",
            {
                "generator": "text_render",
                "num_samples": (1000,),
                "lookahead": 4,
                "iterations": 5,
            },
        ),
        "photographs": Preset(
            "Photographs",
            "100 images of 512 pixels by Stable Diffusion 1.5, of what your prompts say; needs a "
            "GPU and a download of 4 GB",
            {
                "generator": "stable_diffusion",
                "generator_options": {"model": "stable-diffusion-v1-5/stable-diffusion-v1-5"},
                "image_size": 512,
                "num_samples": (100,),
                "lookahead": 4,
                "iterations": 5,
                "embedder": "inception",
            },
        ),
        "cats": Preset(
            "Photographs of a cat",
            "100 images of 512 pixels by Stable Diffusion 1.4, as in the runs on two cats that "
            "came with the method; needs a GPU and a download of 4 GB",
            _CATS,
        ),
        "cifar10_conditional": Preset(
            "CIFAR-10, by class",
            "50,000 images of 64 pixels by a diffusion model of ImageNet, as in the runs that came "
            "with the method; needs a GPU for a day or two and 1.1 GB of weights, fetched by hand",
            {**_CIFAR10, "classes": "auto"},
        ),
        "cifar10_unconditional": Preset(
            "CIFAR-10, without classes",
            "50,000 images of 64 pixels as one population; needs a GPU for a day or two and 1.1 GB "
            "of weights, fetched by hand",
            {**_CIFAR10, "classes": "none"},
        ),
        "camelyon17_conditional": Preset(
            "Camelyon17, by class",
            "302,436 patches of lymph nodes, with and without tumor, of 64 pixels by a diffusion "
            "model of ImageNet; needs a GPU for days and 1.1 GB of weights, fetched by hand",
            {**_CAMELYON17, "classes": "auto"},
        ),
        "mnist": Preset(
            "MNIST",
            "60,000 digits of 28 pixels drawn as text, as in the run of Sim-PE; needs a GPU and a "
            "download of 100 MB",
            {**_MNIST, "classes": "auto"},
        ),
    }
)
"""By the name that ``--preset`` knows it under."""
