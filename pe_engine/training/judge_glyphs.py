"""Judge the miniature: can a reader of other fonts name what it writes?

    python -m pe_engine.training.judge_glyphs [MODEL] [--sheet FILE] [--steps 2500]

A classifier learns to read renderings in fonts that the miniature never saw. It then reads 2,000
generated digits (as one of the ten digits) and 6,200 letters and digits (as one of the 62
characters, twins such as C and c counted as one), generated with the defaults. A variation at
degree 0.2 keeps its character if it is read as its parent is; at degree 1 it should be no closer
to its parent than to another image of the same caption. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from pe_engine.generators.miniature import CHARACTERS, DIGITS, MINIATURE, plain_caption
from pe_engine.generators.stable_diffusion import StableDiffusion
from pe_engine.generators.transfer import HostCopy, to_uint8
from pe_engine.population import take_rows
from pe_engine.training.captions import twin
from pe_engine.training.renderings import SIZE, Renderings, split_fonts

SEED = 7
BATCH = 256
BARS = {
    "digits named": 0.97,
    "letters and digits named": 0.90,
    "character kept at degree 0.2": 0.95,
    "distance to parent over distance to others, degree 1": 0.97,
}
TWINS = np.array([CHARACTERS.index(twin(c)) for c in CHARACTERS])


def reader() -> nn.Module:
    """A small convolutional network from ``(N, 1, 32, 32)`` to one logit a character."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        ]

    return nn.Sequential(
        *block(1, 32), *block(32, 64), *block(64, 128),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 16, len(CHARACTERS)),
    )  # fmt: skip


def train_reader(steps: int) -> nn.Module:
    """The classifier, trained on light on dark renderings of the unseen fonts."""
    torch.manual_seed(SEED)
    pictures = Renderings(split_fonts()[1], SEED)
    network = reader().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2, fused=True)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for step in range(steps):
        grey, looks = pictures.draw(BATCH)
        names = torch.tensor([CHARACTERS.index(look.character) for look in looks])
        dark = np.array([look.dark for look in looks])
        grey[dark] = 255 - grey[dark]
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(as_input(grey)).float()
        loss = nn.functional.cross_entropy(logits, names, label_smoothing=0.1)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        rates.step()
        if step % 250 == 0:
            print(f"reader: step {step} of {steps}, loss {loss.item():.3f}", flush=True)
    return network.eval()


def as_input(grey: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(grey).float().div_(255)[:, None]


@torch.inference_mode()
def read(network: nn.Module, grey: np.ndarray, among: str = CHARACTERS) -> np.ndarray:
    """Indices into ``CHARACTERS`` of what the classifier reads, int64 ``(N,)``."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = torch.cat([network(as_input(part)) for part in np.array_split(grey, 8)]).float()
    allowed = np.array([CHARACTERS.index(c) for c in among])
    return allowed[logits[:, allowed].argmax(1).numpy()]


class Writer:
    """The miniature with its defaults, as the product runs it."""

    def __init__(self, model: Path) -> None:
        given = {} if model == MINIATURE else {"model": str(model), "steps": 8, "guidance": 2.0}
        self._generator = StableDiffusion(SIZE, "cpu", **given)
        self._rng = np.random.default_rng(SEED)

    def write(self, characters: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """States and grey images, uint8 ``(N, 32, 32)``, of these characters."""
        captions = [plain_caption(c) for c in characters]
        state = HostCopy(self._generator.random([""] * len(captions), captions, self._rng)).state()
        return state, self._grey(state)

    def vary(self, state: dict[str, np.ndarray], degree: float) -> np.ndarray:
        return self._grey(self._generator.vary(state, degree, self._rng))

    def _grey(self, state: dict[str, np.ndarray]) -> np.ndarray:
        return to_uint8(self._generator.render(state)).mean(-1).round().astype(np.uint8)


def judge(network: nn.Module, writer: Writer) -> dict[str, float]:
    """The four figures that ``BARS`` names."""
    digits = DIGITS * 200
    state, drawn = writer.write(digits)
    asked = np.array([CHARACTERS.index(c) for c in digits])
    named = read(network, drawn, among=DIGITS)
    everything = CHARACTERS * 100
    all_drawn = writer.write(everything)[1]
    all_asked = np.array([CHARACTERS.index(c) for c in everything])
    right = TWINS[read(network, all_drawn)] == TWINS[all_asked]
    worst = np.argsort([right[all_asked == i].mean() for i in range(len(CHARACTERS))])[:10]
    print("hardest:", *(f"{CHARACTERS[i]} {right[all_asked == i].mean():.0%}" for i in worst))
    kept = read(network, writer.vary(state, 0.2), among=DIGITS) == named
    forgotten = writer.vary(take_rows(state, np.arange(1000)), 1.0).astype(float)
    captions = len(DIGITS)  # that many images on, the caption is the same
    distances = [np.abs(forgotten - drawn[first : first + 1000]).mean() for first in (0, captions)]
    figures = [(named == asked).mean(), right.mean(), kept.mean(), distances[0] / distances[1]]
    return dict(zip(BARS, map(float, figures), strict=True))


def sheet(writer: Writer) -> Image.Image:
    """Twelve of each of the 62 characters, two characters a row."""
    grey = writer.write("".join(c * 12 for c in CHARACTERS))[1]
    rows = grey.reshape(31, 24, SIZE, SIZE).transpose(0, 2, 1, 3)
    return Image.fromarray(rows.reshape(31 * SIZE, 24 * SIZE))


def main() -> None:
    """Train the reader, judge, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=MINIATURE)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet to this PNG")
    parser.add_argument("--steps", type=int, default=2500, help="to train the reader for")
    parser.add_argument("--reader", type=Path, help="keep the trained reader here, or take it")
    options = parser.parse_args()
    writer = Writer(options.model)
    if options.sheet:
        sheet(writer).save(options.sheet, optimize=True)
    if options.reader and options.reader.exists():
        network = reader()
        network.load_state_dict(torch.load(options.reader, weights_only=True))
        network.eval()
    else:
        network = train_reader(options.steps)
        if options.reader:
            torch.save(network.state_dict(), options.reader)
    for name, fonts in zip(("seen by the miniature", "its own"), split_fonts(), strict=True):
        grey, looks = Renderings(fonts, SEED + 1).draw(4000)
        dark = np.array([look.dark for look in looks])
        grey[dark] = 255 - grey[dark]
        asked = np.array([CHARACTERS.index(look.character) for look in looks])
        right = TWINS[read(network, grey)] == TWINS[asked]
        print(f"the reader names {right.mean():.1%} of renderings in fonts {name}")
    figures = judge(network, writer)
    for name, bar in BARS.items():
        print(f"{name}: {figures[name]:.4f} (bar {bar})")
    raise SystemExit(any(figures[name] < bar for name, bar in BARS.items()))


if __name__ == "__main__":
    main()
