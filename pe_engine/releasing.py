"""What may leave of a run in its folder: gathered from its generations and committed votes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pe_engine.boundary import GenerationRecord, Outgoing, outgoing
from pe_engine.errors import RunError
from pe_engine.header import Header
from pe_engine.images import contact_sheet
from pe_engine.population import Population, sample_indices
from pe_engine.privacy.ledger import Ledger
from pe_engine.report import shown_records
from pe_engine.storage import RunFolder

MAX_CLASSES_ON_SHEET = 20
Read = Callable[[int], Population]


def gather(
    header: Header,
    folder: RunFolder,
    ledger: Ledger,
    generation: int | None = None,
    provenance: Mapping[str, str] | None = None,
    read: Read | None = None,
) -> Outgoing:
    """What may leave, with the images of one generation.

    Args:
        generation: 0..T; None for the newest. Whichever it is, ε is that of the whole plan:
            whoever chooses could see the votes of all.
        provenance: what identifies the generator's files, if it is known better than the folder
            knows it.
        read: gives a finished generation; by default from the folder.

    Raises:
        RunError: that generation is not finished, or the ledger does not know the run's votes.
    """
    read = read or folder.read_population
    budget, last = header.budget, folder.last_generation()
    wanted = last if generation is None else generation
    if not 0 <= wanted <= last:
        raise RunError(f"Generation {max(wanted, 0)} is not finished. Choose an earlier one.")
    return outgoing(
        replace(header.config, classes=header.rule),  # the rule that was chosen, not "auto"
        header.class_names,
        header.public_names,
        read(wanted),
        _records(header, ledger, last, wanted, read),
        budget.noise_multiplier,
        epsilon_planned=budget.epsilons[-1],
        # a run that was finished early may have paid for votes that no image came of
        committed=last + (ledger.noisy_votes(header.run_id, last + 1) is not None),
        start=header.start,
        inherited=header.inherited,
        provenance=folder.read_provenance() if provenance is None else provenance,
        chosen=generation,
    )


def _records(
    header: Header, ledger: Ledger, last: int, wanted: int, read: Read
) -> list[GenerationRecord]:
    """Those up to generation ``last``, with a contact sheet where the report shows one."""
    budget = header.budget
    records = [GenerationRecord(0, None, None, None, budget.inherited)]
    for t, epsilon in enumerate(budget.epsilons[:last], start=1):
        votes = ledger.noisy_votes(header.run_id, t)
        if votes is None:
            raise RunError("The ledger does not know this run. Put its ledger back.")
        records.append(GenerationRecord(t, None, votes, budget.threshold, epsilon))
    for record in shown_records(records, wanted):
        t, classes = record.generation, len(header.class_names)
        records[t] = replace(record, sheet=sample_sheet(read(t), classes))
    return records


def sample_sheet(population: Population, classes: int) -> np.ndarray:
    """uint8 ``(H, W, 3)`` contact sheet, one row per class, or ten rows without classes."""
    per_row = 12
    per_class = per_row if classes > 1 else 10 * per_row
    shown = sample_indices(population.class_ids, per_class)[:MAX_CLASSES_ON_SHEET]
    return contact_sheet(population.images[np.concatenate(shown)], per_row)
