"""What is fixed once a run exists."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

from pe_engine.config import RunConfig

RUN_ID = re.compile(r"[0-9a-f]{32}")


def new_run_id() -> str:
    """128 random bits: whoever knows the id of a run may see it."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class BudgetPlan:
    """What the settings mean before anything is spent.

    Attributes:
        noise_multiplier: σ in votes.
        threshold: H in votes.
        epsilons: ε after each of the T generations.
    """

    noise_multiplier: float
    threshold: float
    epsilons: tuple[float, ...]


@dataclass(frozen=True)
class Header:
    """What is fixed once a run exists; stored in its ``run.json``.

    Attributes:
        ledger: identity of the ledger that holds the run's votes and charges.
        class_names: of the private data, for the owner; ("",) without classes.
        rule: the class rule that was chosen.
        public_names: whether class names may leave.
    """

    run_id: str
    ledger: str
    config: RunConfig
    class_names: tuple[str, ...]
    rule: str
    public_names: bool
    budget: BudgetPlan

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "config": self.config.to_json(), "budget": vars(self.budget)}

    @staticmethod
    def from_json(stored: dict[str, Any]) -> Header:
        """The header that ``to_json`` gave."""
        budget = stored["budget"]
        return Header(
            **{
                **stored,
                "config": RunConfig.from_json(stored["config"]),
                "class_names": tuple(stored["class_names"]),
                "budget": BudgetPlan(**{**budget, "epsilons": tuple(budget["epsilons"])}),
            }
        )
