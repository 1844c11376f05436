"""How good, fast and frugal is a whole run on MNIST?

    python tests/benchmarks/mnist.py --mnist mnist_train.npz [--mode dev|final] [flags of `run`]

Makes a zip of PNGs from the npz (``images`` uint8 (60000, 28, 28), ``labels``), runs
``python -m pe_engine run`` on it in a process of its own with a fresh ledger, trains a small
convolutional network on the synthetic images and tests it on real ones. Two splits:

- ``dev``, for tuning: tested on the 5,000 public example images of ``handwriting.zip``; private
  are the other 50,000 of the first 55,000.
- ``final``, to report once: private are the first 55,000, tested on the last 5,000, which nothing
  else in this repository has seen.

Flags that are not listed by ``--help`` are handed on to ``run`` as they are.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "assets" / "examples" / "handwriting.zip"
FIRST = 55_000
STEPS, BATCH = 600, 128


@dataclass(frozen=True)
class Split:
    """``images`` are uint8 ``(n, 28, 28)``, ``labels`` int64 ``(n,)``."""

    private_images: np.ndarray
    private_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True, help="npz of the training images")
    parser.add_argument("--mode", choices=("dev", "final"), default="dev", help="see above")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--num-samples", type=int, default=10_000)
    parser.add_argument("--lookahead", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the run and of the network")
    parser.add_argument("--private", type=int, help="take only this many private images")
    parser.add_argument("--timing-only", action="store_true", help="train and test no network")
    arguments, rest = parser.parse_known_args()

    split = load(arguments.mnist, arguments.mode)
    n = FIRST  # δ is the same in both modes, so that σ is the same too
    delta = 1 / (n * math.log(n))
    chosen = arguments.private or len(split.private_labels)
    settings = {
        "epsilon": arguments.epsilon,
        "delta": f"{delta:.6e}",
        "iterations": arguments.iterations,
        "num-samples": arguments.num_samples,
        "lookahead": arguments.lookahead,
        "seed": arguments.seed,
    }
    flags = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    with tempfile.TemporaryDirectory() as folder:
        data, output = Path(folder) / "mnist.zip", Path(folder) / "run"
        write_zip(split.private_images[:chosen], split.private_labels[:chosen], data)
        seconds, mebibytes = run(data, output, [*flags, *rest], Path(folder) / "home")
        with np.load(output / "samples.npz") as result:
            images = result["samples"][..., 0]
            labels = np.array([int(name) for name in result["classes"]])[result["labels"]]
    rows = {
        "machine": f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "mode": f"{arguments.mode}, {chosen} private images",
        **settings,
        "other flags": " ".join(rest) or "none",
        "wall time": f"{seconds:.1f} s",
        "peak memory": f"{mebibytes:.0f} MiB",
    }
    if not arguments.timing_only:
        classify = train(images, labels, arguments.seed)
        correct = classify(split.test_images) == split.test_labels
        rows["accuracy"] = f"{100 * correct.mean():.2f} % of {len(correct)} test images"
    print("\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())]))


def load(path: Path, mode: str) -> Split:
    """The split of ``mode``."""
    with np.load(path) as data:
        images, labels = data["images"], data["labels"].astype(np.int64)
    if mode == "final":
        return Split(images[:FIRST], labels[:FIRST], images[FIRST:], labels[FIRST:])
    with zipfile.ZipFile(EXAMPLE) as archive:
        names = archive.namelist()
        example = np.stack([np.array(Image.open(archive.open(name))) for name in names])
    public = {image.tobytes() for image in example}
    private = np.array([image.tobytes() not in public for image in images[:FIRST]])
    example_labels = np.array([int(name.split("_")[0]) for name in names])
    return Split(images[:FIRST][private], labels[:FIRST][private], example, example_labels)


def write_zip(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """One grey PNG per image, its class before the first "_" of its name."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            png = io.BytesIO()
            Image.fromarray(image).save(png, format="PNG", compress_level=1)
            archive.writestr(f"{label}_{i:05d}.png", png.getvalue())


def run(data: Path, output: Path, flags: list[str], home: Path) -> tuple[float, float]:
    """Wall time in seconds and peak memory in MiB of one run from the command line."""
    command = [sys.executable, "-m", "pe_engine", "run", data, "--output", output, *flags]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PE_HOME": str(home)}, check=True)
    seconds = time.perf_counter() - start
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes or in KiB
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit


def train(images: np.ndarray, labels: np.ndarray, seed: int):
    """A function from uint8 images ``(n, 28, 28)`` to labels int64 ``(n,)``."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if outputs < 64 else []
    net = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 7 * 7, 10))
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    inputs, targets = tensor(images), torch.from_numpy(labels)
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (BATCH,))
        loss = nn.functional.cross_entropy(net(inputs[batch]), targets[batch], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()

    def classify(real: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.cat([net(part).argmax(1) for part in tensor(real).split(1000)]).numpy()

    return classify


def tensor(images: np.ndarray):
    """float32 ``(n, 1, 28, 28)`` in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images)).float().div(255).unsqueeze(1)


def processor() -> str:
    """The processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
