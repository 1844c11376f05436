"""What is fixed once a run exists."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

from pe_engine.config import RunConfig
from pe_engine.privacy.charges import Charge
from pe_engine.sources import LOCAL_LIMITS, Limits

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
        inherited: ε of what the run starts from, which is part of them all.
    """

    noise_multiplier: float
    threshold: float
    epsilons: tuple[float, ...]
    inherited: float = 0.0


@dataclass(frozen=True)
class Header:
    """What is fixed once a run exists; stored in its ``run.json``.

    Attributes:
        ledger: identity of the ledger that holds the run's votes and charges.
        class_names: of the private data, for the owner; ("",) without classes.
        rule: the class rule that was chosen.
        public_names: whether class names may leave.
        inherited: what the pictures that it starts from cost, on the same private images.
        start_is_known: whether nothing else can have gone into them.
        persons_of: id of the run that they come from, if the images must belong to the same persons
            as they did for that one; "" for none.
        limits: on the private images, whenever they are found again.
    """

    run_id: str
    ledger: str
    config: RunConfig
    class_names: tuple[str, ...]
    rule: str
    public_names: bool
    budget: BudgetPlan
    inherited: tuple[Charge, ...] = ()
    start_is_known: bool = True
    persons_of: str = ""
    limits: Limits = LOCAL_LIMITS

    @property
    def start(self) -> str:
        """Where generation 0 comes from: "generator", "run" or "pictures"."""
        if not self.config.initial:
            return "generator"
        return "run" if self.start_is_known else "pictures"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **vars(self),
            "config": self.config.to_json(),
            "budget": vars(self.budget),
            "inherited": [vars(charge) for charge in self.inherited],
            "limits": vars(self.limits),
        }

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
                "inherited": tuple(Charge(**charge) for charge in stored.get("inherited", ())),
                "limits": Limits(**stored.get("limits", {})),
            }
        )
