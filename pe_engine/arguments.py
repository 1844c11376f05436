"""The arguments of the command line, with the defaults that ``RunConfig`` has."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from pe_engine import config as settings
from pe_engine.argument_kinds import adder, assignment, auto, numbers, words
from pe_engine.bench.plan import SHAPES, WORKS, BenchPlan
from pe_engine.config import RunConfig
from pe_engine.datasets import DATASETS
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS
from pe_engine.presets import PRESETS
from pe_engine.takeout.arguments import add_export

_DEFAULTS = {f.name: f.default for f in fields(RunConfig)}


def config_of(options: argparse.Namespace) -> RunConfig:
    """The settings of ``run``: what was typed, else the preset's, else ``RunConfig``'s own.

    Raises:
        ConfigError: one of them is out of its range.
    """
    preset = PRESETS[options.preset].settings if options.preset else {}
    typed = {name: getattr(options, name) for name in _DEFAULTS if hasattr(options, name)}
    given = {"dataset_name": options.data.resolve().stem, **preset, **typed}
    if options.class_prompt:
        given["class_prompts"] = class_prompts = {}
        for name, text in options.class_prompt:
            class_prompts.setdefault(name, []).append(text)
    if options.class_change:
        given["class_map"] = class_map = dict(options.class_change)
        if len(class_map) < len(options.class_change):
            raise ConfigError("--class-map names a class twice. Say once what becomes of each.")
    generator = given.get("generator", _DEFAULTS["generator"])
    if generator != preset.get("generator"):
        given.pop("generator_options", None)  # they are of the preset's generator
    if options.option:
        from pe_engine.components import parse_generator_options

        chosen = parse_generator_options(generator, options.option)
        given["generator_options"] = {**given.get("generator_options", {}), **chosen}
    return RunConfig(**given)


def bench_plan_of(options: argparse.Namespace) -> BenchPlan:
    """The settings typed for ``bench``.

    Raises:
        ConfigError: one of them is out of its range.
    """
    from pe_engine.components import parse_generator_options

    given = {f.name: getattr(options, f.name) for f in fields(BenchPlan) if f.name != "options"}
    chosen = parse_generator_options(options.generator, options.option)
    if options.steps is not None:
        chosen = {"steps": options.steps, "variation_steps": options.steps, **chosen}
    return BenchPlan(options=chosen, **given)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``options.command`` is the one that was chosen."""
    parser = argparse.ArgumentParser(
        prog="python -m pe_engine",
        description="Differentially private synthetic images by Private Evolution.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="make a synthetic look-alike of a folder of images")
    run.set_defaults(command="run")
    run.add_argument("data", type=Path, metavar="DATA", help="folder or zip of private images")
    run.add_argument("--output", type=Path, required=True, metavar="OUT", help="folder to make")
    run.add_argument("--resume", action="store_true", help="go on if OUT holds this run already")
    run.add_argument(
        "--preset",
        choices=list(PRESETS),
        help="settings to start from, which the others replace; see the command 'presets'",
    )
    run.add_argument("--yes", action="store_true", help="agree to what a paid service will cost")
    _add_budget(run, typed_only=True)
    _add_run_settings(run)

    resume = commands.add_parser("resume", help="go on with a stopped or killed run")
    resume.set_defaults(command="resume")
    resume.add_argument("output", type=Path, metavar="OUT")
    resume.add_argument(
        "--data", type=Path, help="the same private images again, if their features were not kept"
    )

    resume.add_argument(
        "--finish",
        action="store_true",
        help="make no more generations: write the release from the last one that is finished; it "
        "states ε of the whole plan",
    )

    budget = commands.add_parser("budget", help="what each data set has spent")
    budget.set_defaults(command="budget")
    budget.add_argument("--delta", type=float, default=_DEFAULTS["delta"])
    budget.add_argument(
        "--release", metavar="RUN_ID", help="give back what a run that is gone still reserves"
    )

    sigma = commands.add_parser("sigma", help="the noise multiplier σ that a budget needs")
    sigma.set_defaults(command="sigma")
    _add_budget(sigma)
    _add_unit(sigma)

    epsilon = commands.add_parser("epsilon", help="the ε that a noise multiplier σ spends")
    epsilon.set_defaults(command="epsilon")
    epsilon.add_argument("--sigma", type=float, required=True)
    _add_budget(epsilon, epsilon=False)
    _add_unit(epsilon)

    generators = commands.add_parser("generators", help="what there is, and each one's options")
    generators.set_defaults(command="generators")
    generators.add_argument("name", nargs="?", help="a name, or your own as file.py:Class")
    generators.add_argument("--table", action="store_true", help="all, as a table in Markdown")

    presets = commands.add_parser("presets", help="whole sets of settings to start a run from")
    presets.set_defaults(command="presets")

    data = commands.add_parser("data", help="fetch a published data set as a folder of images")
    data.set_defaults(command="data")
    data.add_argument("name", choices=list(DATASETS))
    data.add_argument("destination", type=Path, metavar="DEST", help="folder to make")
    data.add_argument(
        "--from",
        dest="archive",
        type=Path,
        metavar="FILE",
        help="its archive, fetched by hand (default: download it)",
    )

    add_export(commands)

    audit = commands.add_parser("audit", help="check on this machine that the promises are kept")
    audit.set_defaults(command="audit")
    audit.add_argument("--full", action="store_true", help="all combinations, and all mutants")
    audit.add_argument(
        "--halve-noise", action="store_true", help="with half of the right σ: who notices?"
    )
    audit.add_argument("--coins", type=int, metavar="SEED", help="seed of the canaries' coins")

    bench = commands.add_parser("bench", help="how fast this machine makes and compares images")
    bench.set_defaults(command="bench")
    _add_bench(bench)
    return parser


def _add_budget(
    parser: argparse.ArgumentParser, epsilon: bool = True, typed_only: bool = False
) -> None:
    add = adder(parser, typed_only=typed_only)
    if epsilon:
        add("epsilon", float, "ε of the whole run")
    add("delta", float, "δ; keep it well under 1 / number of images")
    add("iterations", int, "T, how many times the private images vote")
    add("neighbours", int, "k, how many candidates each private image votes for")
    add(
        "adjacency",
        str,
        "neighbouring data sets: one image (or person) more or less, or one replaced",
        choices=settings.ADJACENCIES,
    )


def _add_unit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--person-votes",
        type=int,
        metavar="C",
        help="protect all images of a person: together they vote for C candidates, not each for K",
    )


def _add_bench(parser: argparse.ArgumentParser) -> None:
    add = adder(parser, BenchPlan)
    add("generator", str, "what makes the images", choices=list(GENERATORS))
    _add_option(parser)
    add("shape", str, "measure Stable Diffusion of this shape", choices=SHAPES)
    add("size", int, "height and width in pixels (default: the model's own)")
    add("prompt", str, "of every image (default: one that suits the shape)")
    add("embedder", str, "what images are compared by", choices=list(EMBEDDERS))
    parser.add_argument("--steps", type=int, help="the options steps and variation_steps in one")
    add("degrees", numbers(float), "variation degrees to average over", metavar="D1,D2,...")
    add("samples", int, "N of a whole generation")
    add("lookahead", int, "L of a whole generation")
    add("voters", int, "how many feature vectors vote")
    add("repeats", int, "how often each work is timed; the median counts")
    add("measure", words, f"which of {','.join(WORKS)}", metavar="WORK1,WORK2,...")
    add("device", str, "where models run", choices=settings.DEVICES)
    add("tiny_autoencoder", bool, "decode look-ahead by a tiny autoencoder of random weights")
    add("baseline", bool, "time the public seed system's way of doing the same work, too")
    add("ablation", bool, "time each piece of speed work on and off")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON, too")


def _add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--option",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the generator; see the command 'generators'",
    )


def _add_run_settings(parser: argparse.ArgumentParser) -> None:
    add = adder(parser, typed_only=True)
    add(
        "generator",
        str,
        f"what makes the images: {', '.join(GENERATORS)}, or your own as file.py:Class",
        metavar="NAME",
    )
    _add_option(parser)
    add("initial", str, "start from RUN, RUN:K for its generation K, or samples.npz")
    add("embedder", str, "what images are compared by", choices=list(EMBEDDERS))
    add("metric", str, "how features are compared", choices=settings.METRICS)
    add("search", str, "library that finds nearest candidates", choices=settings.SEARCHES)
    add("num_samples", numbers(int), "N, or T + 1 numbers separated by commas", metavar="N")
    add("lookahead", int, "L, variations averaged for each candidate; 0 for none")
    add("threshold", auto(float), "H in votes, or auto (σ)", metavar="H|auto")
    add("selection", str, "how votes become parents", choices=settings.SELECTIONS)
    add("keep_selected", bool, "selected images enter the next generation themselves")
    add(
        "fresh_children",
        bool,
        "vary the selected parents anew instead of taking their look-ahead variations first",
    )
    add(
        "degrees",
        auto(numbers(float), ()),
        "T variation degrees from 0 to 1, separated by commas, or auto",
        metavar="D1,D2,...",
    )
    add("classes", str, "what names an image's class", choices=settings.CLASS_RULES)
    add(
        "class_names",
        words,
        "the classes; images of others are left out. Without, those found count as declared by "
        "you: that there is a class is then not protected, even if one image alone brings it",
        metavar="CLASS1,CLASS2,...",
    )
    parser.add_argument(
        "--class-map",
        dest="class_change",
        nargs=2,
        action="append",
        default=[],
        metavar=("OLD", "NEW"),
        help="call the class OLD of the images NEW; one with another class if that is called NEW, "
        "and left out if NEW is ''; --class-names are the names after it",
    )
    add(
        "persons",
        str,
        "what names the person in an image, to protect all images of a person together: the "
        "folder it lies in below the class's, or the outermost or innermost of several (anna/2021 "
        "or 2021/anna), or the file name up to the first _ (after the class's, if that is named "
        "so, too); with --classes folder, prefix or none",
        choices=settings.PERSON_RULES,
    )
    add(
        "person_votes",
        int,
        "for how many candidates all images of a person together vote in a generation",
        metavar="C",
    )
    add("public_class_names", bool, "class names may be shown outside")
    parser.add_argument(
        "--prompt",
        dest="prompts",
        nargs="+",
        action="extend",
        default=argparse.SUPPRESS,
        metavar="TEXT",
        help="what to make, shared out evenly over the samples",
    )
    parser.add_argument(
        "--class-prompt",
        nargs=2,
        action="append",
        default=[],
        metavar=("CLASS", "TEXT"),
        help="a prompt for one class",
    )
    add("image_size", auto(int), "pixels, or auto (default: the generator's own)", metavar="N")
    add("dataset_name", str, "the name its budget is kept under (default: the folder's name)")
    add("epsilon_cap", float, "refuse if all runs on this data set would spend more than this")
    add("seed", int, "of everything but the noise")
    add("device", str, "where models run", choices=settings.DEVICES)
    parser.add_argument(
        "--keep-features",
        action="store_true",
        default=argparse.SUPPRESS,
        help="let private features wait on disk until the run is done, so that a resume need not "
        "read DATA again",
    )
