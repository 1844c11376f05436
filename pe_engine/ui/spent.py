"""What earlier runs on a data set have spent, told to the owner of its ledger alone."""

from __future__ import annotations

import math

from pe_engine.privacy.accounting import composed_epsilon
from pe_engine.privacy.ledger import Charge, Ledger
from pe_engine.ui.budget import Budget
from pe_engine.ui.settings import decimal


def spent_sentence(ledger: Ledger, dataset_name: str, budget: Budget) -> str:
    """ε of all runs on the data of this name, and with one more of this budget; "" of no run.

    Raises:
        RunError: the ledger cannot be read.
    """
    held, same_persons = ledger.held(dataset_name)
    if not held:
        return ""
    config = budget.config
    planned = Charge(
        budget.plan.noise_multiplier, config.votes_per_unit, config.iterations, config.unit
    )
    so_far, then = (
        composed_epsilon(charges, config.delta, config.adjacency, config.unit)
        for charges in (held, [*held, planned])
    )
    if config.unit == "person" and (math.isinf(then) or not same_persons):
        return (
            "Runs under this name did not all protect the same persons, so nothing bounds what "
            "they tell of one person together."
        )
    return (
        f"Runs under this name have spent or reserved ε = {decimal(so_far)} so far; with one more "
        f"run like this it is ε = {decimal(then)} for each {config.unit}, at the δ above."
    )
