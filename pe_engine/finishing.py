"""The end of a run: what is private goes, and the release is written from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from pe_engine.boundary import GenerationRecord, outgoing
from pe_engine.components import generator_class
from pe_engine.errors import RunError
from pe_engine.events import Phase, Progress
from pe_engine.export import export_run
from pe_engine.header import Header
from pe_engine.images import contact_sheet
from pe_engine.population import Population, sample_indices
from pe_engine.privacy.ledger import Ledger
from pe_engine.report import shown_records
from pe_engine.storage import RunFolder

MAX_CLASSES_ON_SHEET = 20


def finish_early(header: Header, folder: RunFolder, ledger: Ledger) -> Iterator[Progress]:
    """Release the last generation there is; what the run still reserves is given back.

    Raises:
        RunError: as ``check_ledger``.
    """
    check_ledger(header, folder, ledger)
    ledger.close_run(header.run_id)
    yield from release(header, folder, ledger, folder.read_provenance())


def release(
    header: Header, folder: RunFolder, ledger: Ledger, provenance: Mapping[str, str]
) -> Iterator[Progress]:
    """Delete what is private, and what only a run that goes on needs; then write the release.

    Args:
        provenance: what identifies the files that the generator worked with.
    """
    folder.delete_private()
    if not generator_class(header.config.generator).keeps_for_good:
        folder.delete_generator()
    yield from _export(header, folder, ledger, provenance)


def check_ledger(header: Header, folder: RunFolder, ledger: Ledger) -> None:
    """Raises:
    RunError: the ledger is not the one that the run's votes were committed to.
    """
    made = range(1, max(folder.last_generation(), folder.last_committed()) + 1)
    if header.ledger != ledger.identity or any(
        ledger.noisy_votes(header.run_id, t) is None for t in made
    ):
        raise RunError(
            "This run was begun with another ledger, which holds its noisy votes and what they "
            "cost. Set PE_HOME to the folder that it was begun with, or put that ledger back."
        )


def _export(
    header: Header, folder: RunFolder, ledger: Ledger, provenance: Mapping[str, str]
) -> Iterator[Progress]:
    """From the stored generations and the committed votes."""
    budget, last = header.budget, folder.last_generation()
    run = outgoing(
        replace(header.config, classes=header.rule),  # the rule that was chosen, not "auto"
        header.class_names,
        header.public_names,
        folder.read_population(last),
        _records(folder, header, ledger, last),
        budget.noise_multiplier,
        epsilon_planned=budget.epsilons[-1],
        # a run that was finished early may have paid for votes that no image came of
        committed=last + (ledger.noisy_votes(header.run_id, last + 1) is not None),
        start=header.start,
        inherited=header.inherited,
        provenance=provenance,
    )
    for done, total in export_run(folder.path, run):
        yield Progress(last, Phase.EXPORT, done, total)


def _records(
    folder: RunFolder, header: Header, ledger: Ledger, last: int
) -> list[GenerationRecord]:
    """What the report shows of generations 0..``last``, with a contact sheet where it does."""
    budget = header.budget
    records = [GenerationRecord(0, None, None, None, budget.inherited)]
    for t, epsilon in enumerate(budget.epsilons[:last], start=1):
        votes = ledger.noisy_votes(header.run_id, t)
        records.append(GenerationRecord(t, None, votes, budget.threshold, epsilon))
    for record in shown_records(records):
        t, classes = record.generation, len(header.class_names)
        records[t] = replace(record, sheet=sample_sheet(folder.read_population(t), classes))
    return records


def sample_sheet(population: Population, classes: int) -> np.ndarray:
    """uint8 ``(H, W, 3)`` contact sheet, one row per class, or ten rows without classes."""
    per_row = 12
    per_class = per_row if classes > 1 else 10 * per_row
    shown = sample_indices(population.class_ids, per_class)[:MAX_CLASSES_ON_SHEET]
    return contact_sheet(population.images[np.concatenate(shown)], per_row)
