"""The end of a run: what is private goes, and the release is written from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pe_engine.components import generator_class
from pe_engine.errors import RunError
from pe_engine.events import Phase, Progress
from pe_engine.export import export_run
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.releasing import gather
from pe_engine.storage import RunFolder


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
    run = gather(header, folder, ledger, provenance=provenance)
    for done, total in export_run(folder.path, run):
        yield Progress(run.generation, Phase.EXPORT, done, total)
