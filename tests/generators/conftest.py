"""A service on the network, its user, and generators that ask it."""

import pytest

from pe_engine.components import generator_class
from pe_engine.generators import calling
from tests.generators.image_server import KEY, ImageServer, address


@pytest.fixture
def customer(monkeypatch):
    """The user has a key, and next to no patience."""
    for name in ("OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(calling, "FIRST_WAIT", 0.01)


@pytest.fixture
def server():
    with ImageServer() as one:
        yield one


@pytest.fixture
def service():
    """``make(kind, server, folder, **options)``: the generator of that name, which asks ``server``
    and keeps its answers in ``folder``."""
    from huggingface_hub import close_session

    made = []

    def make(kind, server, folder, image_size=32, **more):
        made.append(generator_class(kind)(image_size, "cpu", **address(kind, server) | more))
        made[-1].keep_in(folder)
        return made[-1]

    yield make
    for generator in made:
        generator.close()
    close_session()
