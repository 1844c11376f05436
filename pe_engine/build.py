"""From settings to wired objects: continue a run to its end, and what its settings mean."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from pe_engine.components import chosen, generator_class, load_class, resolve_device
from pe_engine.config import RunConfig
from pe_engine.data import PrivateDataset, open_dataset
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import ConfigError, Interrupted, RunError
from pe_engine.events import Event, GenerationReady, Loaded, Notice, Phase, Progress
from pe_engine.evolution import ClassPlan, Evolution
from pe_engine.finishing import check_ledger, finish_early, release
from pe_engine.generators.base import Generator
from pe_engine.header import BudgetPlan, Header
from pe_engine.initial import check_made_by
from pe_engine.past import Past, check_persons
from pe_engine.privacy import accounting
from pe_engine.privacy.accounting import Charge
from pe_engine.privacy.ledger import Cap, Ledger
from pe_engine.release import PrivateVoters
from pe_engine.selection import default_threshold
from pe_engine.storage import RunFolder

EXAMPLE = Path(__file__).parent.parent / "assets" / "examples" / "handwriting.zip"
"""5,000 handwritten digits, public data."""


def is_example(source: Path) -> bool:
    """Whether the private images are the bundled public example."""
    return source.resolve() == EXAMPLE.resolve()


def plan_budget(config: RunConfig, past: Past | None = None) -> BudgetPlan:
    """σ, H and the ε of every prefix of the run.

    Args:
        past: what the pictures that the run starts from cost; σ is that of the run's own budget,
            and ε of all together.

    Raises:
        ConfigError: the run protects persons, and those pictures were not chosen by the same ones.
    """
    past = past or Past()
    check_persons(config, past)
    votes = config.votes_per_unit
    releases = (config.delta, config.iterations, votes, config.adjacency)
    sigma = accounting.noise_multiplier(config.epsilon, *releases)
    threshold = default_threshold(sigma) if config.threshold is None else config.threshold
    if not past.charges:
        return BudgetPlan(sigma, threshold, accounting.epsilon_prefixes(sigma, *releases))
    before, *epsilons = (
        accounting.composed_epsilon(
            (*past.charges, Charge(sigma, votes, t, config.unit)),
            config.delta,
            config.adjacency,
            config.unit,
        )
        for t in range(config.iterations + 1)
    )
    return BudgetPlan(sigma, threshold, tuple(epsilons), before)


# Names that leave the machine -------------------------------------------------------------------


def names_are_public(config: RunConfig, class_names: Sequence[str], source: Path) -> bool:
    """Whether class names may reach the generator and the release.

    Yes if the owner says so, if the data are the bundled public example, or if every name is one
    character long: that is a category of writing and names nobody.
    """
    return (
        config.public_class_names
        or is_example(source)
        or all(len(name) <= 1 for name in class_names)
    )


def class_plans(
    config: RunConfig, class_names: Sequence[str], public: bool
) -> tuple[ClassPlan, ...]:
    """For each class the name that the generator may see, and its prompts.

    Raises:
        ConfigError: prompts for an unknown class, or a private class name would be needed.
    """
    unknown = sorted(set(config.class_prompts) - set(class_names))
    if unknown:
        raise ConfigError(
            f"There are prompts for class {unknown[0]!r}, but no such class in the data. "
            "Check the spelling or choose another class rule."
        )
    prompts = [config.class_prompts.get(n, config.prompts) or ("",) for n in class_names]
    kind, options = chosen(config.generator, config.generator_options)
    if kind.uses_names(options) and not public and ("",) in prompts:
        raise ConfigError(
            f"The {len(class_names)} class names would be given to the generator and so show in "
            "the synthetic images. Tick “The class names may be public” below the classes on the "
            "page (--public-class-names), or give prompts for all classes (--prompt, "
            "--class-prompt)."
        )
    shown = class_names if public else [""] * len(class_names)
    return tuple(ClassPlan(name, texts) for name, texts in zip(shown, prompts, strict=True))


# Runs -----------------------------------------------------------------------------------------


def continue_run(
    folder: RunFolder,
    ledger: Ledger,
    dataset: PrivateDataset | None = None,
    stop: threading.Event | None = None,
    *,
    until: int | None = None,
) -> Iterator[Event]:
    """The events of the run in ``folder``, from where it is to the zip.

    Closing the iterator stops the run and gives back the reservation of generations not made; the
    private features wait for a resume. When the run is done they are deleted. Where the folder says
    that it is to finish early, nothing more is made than its release.

    Args:
        dataset: the private images, if they have just been found and not moved since.
        stop: once it is set the generator's waits end, and so may the events, before the run does.
        until: end when this generation is stored, unless it is the last; what the others reserve
            stays reserved.

    Raises:
        PEError: with what to do; the run can be resumed.
    """
    header = Header.from_json(folder.read_header())
    with folder.locked():
        if folder.finishes_early:
            yield from finish_early(header, folder, ledger)
            return
        reserve_budget(header, folder, ledger)
        going_on = False
        try:
            with closing(_generator(header.config, folder)) as generator:
                if stop:
                    generator.heed(stop)
                evolution = _evolution(header, folder, ledger, dataset, generator)
                yield Loaded()
                for what, value in generator.provenance.items():
                    yield Notice(0, f"{what}: {value}")
                for done, total in generator.prepare():
                    yield Progress(folder.last_generation() + 1, Phase.PREPARE, done, total)
                if header.config.initial:
                    check_made_by(generator, folder)
                for event in evolution.events():
                    yield event
                    if isinstance(event, GenerationReady) and event.generation == until:
                        going_on = until < header.config.iterations
                        if going_on:
                            return
        except Interrupted:
            return
        finally:
            if not going_on:
                ledger.close_run(header.run_id)
        yield from release(header, folder, ledger, generator.provenance)


def _generator(config: RunConfig, folder: RunFolder) -> Generator:
    """The run's generator, with the files that the run began with.

    Raises:
        RunError: a file has been exchanged since.
    """
    generator = generator_class(config.generator)(
        config.image_size, resolve_device(config.device), **config.generator_options
    )
    begun_with = folder.read_provenance()
    for what, value in begun_with.items():
        if generator.provenance.get(what) != value:
            raise RunError(
                f"The run began with other files: the {what} was {value}. Put them back as they "
                "were, or start a new run."
            )
    if generator.provenance and not begun_with:
        folder.write_provenance(generator.provenance)
    generator.keep_in(folder.generator_path)
    return generator


def _evolution(
    header: Header,
    folder: RunFolder,
    ledger: Ledger,
    dataset: PrivateDataset | None,
    generator: Generator,
) -> Evolution:
    config, budget = header.config, header.budget
    device = resolve_device(config.device)
    embedder = load_class(EMBEDDERS, config.embedder)(config.image_size, device, generator.grey)
    voters = PrivateVoters(
        run_id=header.run_id,
        config=config,
        noise_multiplier=budget.noise_multiplier,
        device=device,
        class_names=header.class_names,
        embedder=embedder,
        ledger=ledger,
        folder=folder,
        given_out=generator.files,
        persons_of=header.persons_of,
        open_source=lambda: dataset or _opened_again(folder, header),
    )
    return Evolution(
        config=config,
        classes=class_plans(config, header.class_names, header.public_names),
        generator=generator,
        embedder=embedder,
        voters=voters,
        folder=folder,
        threshold=budget.threshold,
        epsilons=budget.epsilons,
    )


def _opened_again(folder: RunFolder, header: Header) -> PrivateDataset:
    """The private images of a run that was begun before, named by the rules it began with."""
    config = header.config
    return open_dataset(
        folder.read_source(),
        header.rule,
        header.limits,
        class_names=config.class_names,
        class_map=config.class_map,
        persons=config.persons,
    )


def reserve_budget(header: Header, folder: RunFolder, ledger: Ledger) -> None:
    """Reserve what the run has not committed yet.

    Raises:
        BudgetError: the data set's cap would be exceeded.
        RunError: the ledger is not the one that the run's votes were committed to.
    """
    check_ledger(header, folder, ledger)
    config = header.config
    cap = config.epsilon_cap and Cap(
        config.epsilon_cap, config.delta, config.adjacency, config.unit
    )
    charge = Charge(
        header.budget.noise_multiplier, config.votes_per_unit, config.iterations, config.unit
    )
    ledger.open_run(header.run_id, config.dataset_name, charge, cap)
