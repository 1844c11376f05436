"""A GPU whose memory runs out at the n-th call of the generator's or the embedder's network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from typing import ClassVar
from unittest import mock

import numpy as np
import torch

from pe_engine.embedders import EMBEDDERS
from pe_engine.embedders.network import Inputs, NetworkEmbedder
from pe_engine.generators.halving import Halving
from pe_engine.snapshot import Snapshot, Status
from tests.durability.scene import Lost, Scene
from tests.durability.stub import SIZE, Dots
from tests.durability.sweeps import Tally

GENERATOR = "tests.durability.memory:HalvedDots"
EMBEDDER = "tests.durability.memory:SmallNetwork"


class Memory:
    """Counts the calls of all networks; it runs out at ``number``."""

    number = 0
    done = 0
    ran_out_in = ""

    def call(self, who: str) -> None:
        self.done += 1
        if self.done == self.number:
            self.ran_out_in = who
            raise torch.OutOfMemoryError("CUDA out of memory")


class HalvedDots(Dots):
    """``Dots`` that drift on a GPU, in batches which its memory holds."""

    memory: ClassVar[Memory] = Memory()

    def __init__(self, image_size, device, **options):
        super().__init__(image_size, device, **options)
        self._in_parts = Halving(self.batch_size, image_size, "Choose smaller dots")

    def random(self, *arguments):
        self.memory.call("drawing, which nobody halves")
        return super().random(*arguments)

    def vary(self, state, degree, rng):
        drift = rng.normal(0, degree / 4, state["dots"].shape).astype(np.float32)

        def work(rows):
            self.memory.call("generator")
            return torch.from_numpy(state["dots"][rows] + drift[rows])

        return {"dots": np.clip(self._in_parts(len(drift), work).numpy(), 0, 1)}


class SmallNetwork(NetworkEmbedder):
    """An embedder like the pretrained ones, without weights."""

    summary = "for tests"

    def __init__(self, image_size, device, grey):
        inputs = Inputs(SIZE, (0.0,) * 3, (1.0,) * 3)
        super().__init__(self._network_of_pixels, 3 * SIZE**2, inputs, device, batch_size=4)

    def _network_of_pixels(self, batch):
        HalvedDots.memory.call("embedder")
        return batch.flatten(1)


def out_of_memory(stages: Iterator[Scene]) -> Tally:
    """The memory runs out at call n = 1, 2, ... until a run ends before that."""
    tally = Tally("GPU out of memory at the n-th call of a network (simulated)")
    with mock.patch.dict(EMBEDDERS, pixels=EMBEDDER):
        for number, scene in zip(count(1), stages, strict=False):
            scene.generator = GENERATOR
            memory = Memory()
            memory.number = number
            with mock.patch.object(HalvedDots, "memory", memory):
                told = scene.live()
                if not memory.ran_out_in:
                    return tally
                where = f"call {number}, of the {memory.ran_out_in}"
                tally.attempt(where, lambda s=scene, t=told, m=memory: _come_through(s, t, m))
            shutil.rmtree(scene.root)
    raise AssertionError("there are always more scenes")


def _come_through(scene: Scene, told: Snapshot, memory: Memory) -> None:
    """The generator halves its batch; others say what was wrong, and the run goes on."""
    if memory.ran_out_in != "generator":
        if told.status is not Status.FAILED or "memory of the GPU" not in told.error:
            raise Lost(f"{memory.ran_out_in} ended the run with {told.status}: {told.error}")
        scene.recover()
    elif told.status is not Status.DONE:
        raise Lost(f"the generator ended the run: {told.error}")
    scene.check_at_end()
