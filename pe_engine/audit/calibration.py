"""Is σ large enough for the claimed ε, and is every claim the same? By another way than the
engine's own accounting: probabilities of integers, added up directly.

T generations in which one unit moves n counts by 1 are n T independent discrete Gaussians whose
centres are 1 apart. What tells them apart is the sum of their noises, whose masses are convolved
here; then δ(ε) = Σ_s max(0, P[s] - e^ε Q[s]) is its definition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pe_engine.audit.finding import Finding
from pe_engine.audit.noise import exact
from pe_engine.audit.running import finish, png
from pe_engine.audit.squares import NAME, picture
from pe_engine.config import RunConfig
from pe_engine.privacy.ledger import Ledger

AUDIT = "calibration"
TOO_MUCH_NOISE = 0.01  # ε that is claimed may lie so far above the true one, relative
ROUNDING = 1e-9
CANDIDATES = 40


@dataclass(frozen=True)
class Budget:
    """What is asked for, and how many counts one unit moves by 1 in a generation."""

    epsilon: float
    iterations: int
    adjacency: str
    counts: int
    unit: str = "image"

    def __str__(self) -> str:
        word = "k" if self.unit == "image" else "c"
        return (
            f"ε = {self.epsilon:g}, T = {self.iterations}, {self.adjacency} of one {self.unit}, "
            f"{word} = {self.counts}"
        )

    def config(self) -> RunConfig:
        person = self.unit == "person"
        return RunConfig(
            dataset_name="audit",
            generator=NAME,
            classes="none",
            epsilon=self.epsilon,
            iterations=self.iterations,
            adjacency=self.adjacency,
            num_samples=(CANDIDATES,),
            lookahead=0,
            **(
                {"persons": "folder", "person_votes": self.counts}
                if person
                else {"neighbours": self.counts}
            ),
        )


BUDGETS = (
    Budget(8.0, 5, "add-remove", 1),
    Budget(8.0, 5, "replace", 1),
    Budget(1.0, 10, "add-remove", 1),
    Budget(4.0, 3, "add-remove", 3),
    Budget(2.0, 2, "replace", 3),
    Budget(4.0, 4, "add-remove", 3, unit="person"),
    Budget(4.0, 4, "replace", 2, unit="person"),
)


def audit(work: Path) -> Iterator[Finding]:
    """A finding for each of some budgets: the true ε of the σ that was used."""
    files = {f"person{i}/{i}.png": png(picture(i)) for i in range(8)}
    for i, budget in enumerate(BUDGETS):
        folder = work / str(i)
        privacy = finish(folder, budget.config(), files).manifest["privacy"]
        factor = 1 if budget.adjacency == "add-remove" else 2
        cells = budget.iterations * budget.counts * factor
        true = epsilon_of_sum(privacy["noise_multiplier"], cells, privacy["delta"])
        claimed = privacy["epsilon"]
        (charge,) = Ledger(folder / "home").spent("audit")
        same = (charge.noise_multiplier, charge.neighbours, charge.generations) == (
            privacy["noise_multiplier"],
            budget.counts,
            budget.iterations,
        )
        fits = claimed * (1 - TOO_MUCH_NOISE) <= true <= claimed + ROUNDING
        yield Finding(
            AUDIT,
            str(budget),
            f"σ = {privacy['noise_multiplier']:.4f}, so ε = {true:.4f}",
            f"ε = {claimed:.4f} claimed" + ", another charge in the ledger" * (not same),
            fits and claimed <= budget.epsilon and same,
        )


def epsilon_of_sum(sigma: float, cells: int, delta: float) -> float:
    """The smallest ε at δ of ``cells`` discrete Gaussians whose centres all move by 1."""
    _, one = exact(sigma)
    mass = one
    for _ in range(cells - 1):
        mass = np.convolve(mass, one)
    sums = np.arange(len(mass)) - len(mass) // 2
    losses = (cells / 2 - sums) / sigma**2  # ln of P[s] / Q[s], where all centres are 0 and 1
    low, high = 0.0, float(losses.max())
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        beyond = losses > middle
        spent = math.fsum(mass[beyond] * -np.expm1(middle - losses[beyond]))
        low, high = (low, middle) if spent <= delta else (middle, high)
    return high
