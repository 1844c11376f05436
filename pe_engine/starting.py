"""Starting a run: what the settings come to, whether it can be done, and its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pe_engine import initial
from pe_engine.build import class_plans, names_are_public, plan_budget, reserve_budget
from pe_engine.class_rules import composed
from pe_engine.components import (
    chosen,
    generator_class,
    opened_paths,
    resolve_device,
    settled_options,
)
from pe_engine.config import RunConfig
from pe_engine.data import LOCAL_LIMITS, Limits, PrivateDataset, open_dataset
from pe_engine.errors import ConfigError, RunError
from pe_engine.files import typed_path
from pe_engine.generators import custom
from pe_engine.generators.base import Estimate
from pe_engine.header import Header, new_run_id
from pe_engine.past import Past
from pe_engine.privacy.ledger import Ledger
from pe_engine.storage import RunFolder

MAX_POPULATION_BYTES = 4 * 2**30


def settled(config: RunConfig) -> RunConfig:
    """The same settings with what the generator chooses where nothing was typed: the image size,
    and variation degrees in its own unit. Files are named by their whole path.

    Raises:
        ConfigError, GeneratorError: the generator's options or the size cannot be used.
    """
    generator = custom.settled(config.generator)
    given = settled_options(generator, config.generator_options)
    kind, options = chosen(generator, given)
    degrees = kind.degrees(options)
    if degrees and config.degrees not in ((), degrees):
        raise ConfigError(
            "The variation degrees are given twice, as a setting and as an option of the "
            "generator. Leave one of them out."
        )
    if degrees and len(degrees) != config.iterations:
        raise ConfigError(
            f"The generator's options name {len(degrees)} variation degrees, but there are "
            f"{config.iterations} iterations. Name as many, or leave that option empty."
        )
    return replace(
        config,
        generator=generator,
        generator_options=given,
        image_size=kind.fitting_size(options, config.image_size),
        degrees=degrees or config.degrees,
        initial=initial.settled(config.initial),
        num_samples=_with_initial(config),
    )


def _with_initial(config: RunConfig) -> tuple[int, ...]:
    """The sample schedule; generation 0 has as many as there are pictures to start from."""
    if not config.initial:
        return config.num_samples
    return (initial.count(config.initial), *config.sample_schedule[1:])


def cost(config: RunConfig) -> Estimate | None:
    """What the run will ask of a service that charges for it, at most; None if of none."""
    new, *varied = config.sample_schedule
    looked_at = sum(config.sample_schedule[:-1]) * config.lookahead
    images = new * (not config.initial) + looked_at + sum(varied)
    kind, options = chosen(config.generator, config.generator_options)
    return kind.estimate(options, images)


def start_run(
    out: Path,
    config: RunConfig,
    source: Path,
    ledger: Ledger,
    *,
    run_id: str | None = None,
    upload: bool = False,
    limits: Limits = LOCAL_LIMITS,
    owner: str | None = None,
) -> PrivateDataset:
    """Check everything, reserve the budget and make the run's folder; no image is read.

    Args:
        out: the run's folder; must not hold a run or other files.
        source: folder or zip of private images.
        run_id: a fresh one when None.
        upload: ``source`` is a zip of our own; it moves into the run's folder and is deleted once
            it has been read.
        limits: on the private data set.
        owner: whose the run is; see ``ownership``.

    Returns:
        The private images, found but not read.

    Raises:
        ConfigError, DataError, RunError, BudgetError: nothing was made and nothing reserved.
    """
    folder = RunFolder(out)
    folder.check_free()
    resolve_device(config.device)
    config = settled(config)
    dataset = open_dataset(
        source,
        config.classes,
        limits,
        class_names=config.class_names,
        class_map=config.class_map,
        persons=config.persons,
    )
    _check_class_map(config, dataset)
    public_names = names_are_public(config, dataset.class_names, source)
    plans = class_plans(config, dataset.class_names, public_names)
    kind, options = chosen(config.generator, config.generator_options)
    kind.check_prompts(options, [text for plan in plans for text in plan.prompts])
    _check_sizes(config, len(dataset.class_names))
    _check_cost(config)
    _check_paths(config, source)
    given, past = None, Past()
    if config.initial:
        given, past = initial.read(config, dataset.class_names), initial.past(config.initial)
    if not past.known and kind.estimate(options, 1):
        raise ConfigError(
            f"{config.generator} would send the pictures to start from to a service, and nobody "
            "knows whether they are private. Start from a run of this program, or choose another "
            "generator."
        )
    if given and not given.complete and not kind.adopts(options):
        raise ConfigError(
            f"{config.generator} draws from parameters of its own and cannot go on from given "
            "pictures. Choose another generator, or start from a run with the same options, "
            "prompts and image size."
        )
    header = Header(
        run_id=run_id or new_run_id(),
        ledger=ledger.identity,
        config=config,
        class_names=tuple(dataset.class_names),
        rule=dataset.rule,
        public_names=public_names,
        budget=plan_budget(config, past),
        inherited=past.charges,
        start_is_known=past.known,
        persons_of=past.run_id if config.unit == "person" else "",
        limits=limits,
    )
    folder.create(header.to_json(), owner)
    try:
        if given and given.complete:
            folder.write_provenance(given.provenance)
            folder.write_population(0, given.population)
        elif given:
            folder.write_initial(given.population)
        folder.adopt_source(source, upload)
        _reserve(header, folder, ledger)  # last, since a full disk would not let it be taken back
    except BaseException:
        if upload:
            folder.give_back_upload(source)
        folder.delete()
        raise
    return dataset


def _reserve(header: Header, folder: RunFolder, ledger: Ledger) -> None:
    try:
        reserve_budget(header, folder, ledger)
    except RunError:  # it may have been reserved although the answer was lost
        ledger.close_run(header.run_id)
        raise


def _check_class_map(config: RunConfig, dataset: PrivateDataset) -> None:
    """Raises ConfigError where a class is renamed that there is not, which is a slip of the pen."""
    found = {composed(name) for name in dataset.found}
    unknown = sorted(name for name in config.class_map if composed(name) not in found)
    if unknown:
        raise ConfigError(
            f"The class {unknown[0]!r} is renamed or left out, but no such class was found in the "
            "images. Check how it is spelt."
        )


def _check_cost(config: RunConfig) -> None:
    """Raises ConfigError where a service would charge for more than was agreed to."""
    bill = cost(config)
    if bill and bill.accepted < bill.calls:
        raise ConfigError(
            f"{bill.describe()} Set the option most_calls of {config.generator} to {bill.calls} to "
            "agree to that, or ask for fewer samples, iterations or look-ahead variations."
        )


def _check_paths(config: RunConfig, source: Path) -> None:
    """Raises ConfigError where the generator would be given the private images."""
    private = source.resolve()
    for path in opened_paths(config.generator, config.generator_options):
        given = typed_path(path).resolve()
        if given == private or given in private.parents or private in given.parents:
            raise ConfigError(
                "The generator would read the private images: they lie in the folder or file that "
                "one of its options names. Give it public ones."
            )


def _check_sizes(config: RunConfig, classes: int) -> None:
    largest = max(config.sample_schedule)
    kept = generator_class(config.generator).varies_pixels and not config.fresh_children
    copies = 1 + config.lookahead * kept
    needed = largest * copies * config.image_size**2 * 3
    if needed > MAX_POPULATION_BYTES:
        raise ConfigError(
            f"{largest:,} samples of {config.image_size} x {config.image_size} pixels "
            f"{'and their look-ahead variations ' * (copies > 1)}need {needed / 2**30:.1f} GiB, "
            f"but {MAX_POPULATION_BYTES / 2**30:.0f} GiB is the most. Ask for fewer or smaller "
            f"samples{', or set fresh children' * (copies > 1)}."
        )
    smallest = min(config.sample_schedule) // classes
    if smallest < config.neighbours:
        raise ConfigError(
            f"{min(config.sample_schedule)} samples for {classes} classes leave {smallest} in a "
            f"class, but every private image votes for {config.neighbours}. Ask for at least "
            f"{classes * config.neighbours} samples."
        )
    if min(config.sample_schedule[:-1]) < config.votes_per_unit:
        raise ConfigError(
            f"All images of one person are to vote for {config.person_votes} candidates, but there "
            f"are only {min(config.sample_schedule[:-1])}. Ask for more samples or fewer votes of "
            "a person."
        )
