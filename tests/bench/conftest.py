"""A tiny Stable Diffusion with random weights, made once; and one thread for such small work."""

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The folder of a pipeline of the shape "tiny": 64 x 64 pixels, 4 x 8 x 8 latents."""
    from pe_engine.bench.shapes import save_shape

    return str(save_shape("tiny", tmp_path_factory.mktemp("tiny"), "cpu"))


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other cost more than they give."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
