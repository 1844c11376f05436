"""Are charge and noisy votes in the ledger, on disk, before anyone sees them?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pe_engine.audit.finding import Finding
from pe_engine.audit.running import png, write_zip
from pe_engine.audit.squares import NAME, picture
from pe_engine.build import continue_run
from pe_engine.config import RunConfig
from pe_engine.events import VotesReleased
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder

AUDIT = "ledger"
ITERATIONS = 3


def audit(work: Path) -> list[Finding]:
    """Look into the ledger, by a connection of one's own, whenever votes are published."""
    work.mkdir(parents=True)
    config = RunConfig(
        dataset_name="audit",
        generator=NAME,
        classes="none",
        iterations=ITERATIONS,
        num_samples=(20,),
        lookahead=0,
    )
    source = write_zip(work / "images.zip", {f"{i}.png": png(picture(i)) for i in range(5)})
    run_id = "fedcba9876543210" * 2
    dataset = start_run(work / "out", config, source, Ledger(work / "home"), run_id=run_id)
    published = in_time = 0
    for event in continue_run(RunFolder(work / "out"), Ledger(work / "home"), dataset):
        if isinstance(event, VotesReleased):
            published += 1
            ledger = Ledger(work / "home")
            votes = ledger.noisy_votes(run_id, event.generation)
            charged = sum(charge.generations for charge in ledger.spent("audit"))
            held = votes is not None and np.array_equal(votes, event.noisy_votes)
            in_time += held and charged == published
            if not held:
                break
    return [
        Finding(
            AUDIT,
            "votes and their charge are committed before they are published",
            f"{in_time} of {published} generations",
            f"{ITERATIONS} of {ITERATIONS}",
            in_time == published == ITERATIONS,
        )
    ]
