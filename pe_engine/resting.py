"""What the folder and the ledger say of a run that nobody drives."""

from __future__ import annotations

from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.snapshot import GenerationView, Snapshot, Status
from pe_engine.storage import RunFolder


def at_rest(store: RunFolder, ledger: Ledger, header: Header) -> Snapshot:
    """The snapshot of a run that is done or can be resumed."""
    config, last = header.config, store.last_generation()
    done = store.zip_path.is_file()
    return Snapshot(
        version=0,
        run_id=header.run_id,
        status=Status.DONE if done else Status.STOPPED,
        queue_position=0,
        config=config,
        class_names=header.class_names,
        public_names=header.public_names,
        noise_multiplier=header.budget.noise_multiplier,
        epsilon_spent=_spent(header, ledger, last),
        epsilon_planned=header.budget.epsilons[-1] if header.inherited else config.epsilon,
        generation=max(last, 0),
        phase=None,
        phase_fraction=0.0,
        seconds_left=None,
        seconds_elapsed=0.0,
        generations=tuple(
            generation_view(header, t, config.sample_schedule[t]) for t in range(last + 1)
        ),
        notices=(),
        owner_notices=(),
        error="",
        zip_ready=done,
        needs_images=not done and needs_images(store, config.iterations),
        finishes_early=store.finishes_early,
    )


def needs_images(store: RunFolder, iterations: int) -> bool:
    """The private images would have to be given again before the run could go on to its end."""
    votes_missing = store.last_committed() < iterations
    return votes_missing and not store.finishes_early and store.needs_images


def generation_view(header: Header, generation: int, num_samples: int) -> GenerationView:
    """A finished generation of the run."""
    budget = header.budget
    if generation == 0:
        return GenerationView(0, num_samples, False, None, budget.inherited)
    epsilon = budget.epsilons[generation - 1]
    return GenerationView(generation, num_samples, True, budget.threshold, epsilon)


def _spent(header: Header, ledger: Ledger, last: int) -> float:
    """ε of the committed votes; those for the generation after the last may be among them."""
    budget, count = header.budget, max(last, 0)
    if ledger.noisy_votes(header.run_id, count + 1) is not None:
        count += 1
    return (budget.inherited, *budget.epsilons)[count]
