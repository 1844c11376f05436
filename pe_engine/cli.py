"""The command line: ``python -m pe_engine COMMAND``.

Exit codes: 0 done, 2 bad arguments or data, 3 budget refused, 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pe_engine import config as settings
from pe_engine.config import RunConfig
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import PEError, RunError
from pe_engine.generators import GENERATORS

if TYPE_CHECKING:
    from pe_engine.header import BudgetPlan
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.runner import Run

STOPPED = 130
_DEFAULTS = {f.name: f.default for f in fields(RunConfig)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except PEError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"Error: {error.filename or 'A file'}: {error.strerror}.", file=sys.stderr)
        return PEError.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return STOPPED


# Commands: each imports what it needs, so that --help answers at once ---------------------------


def _run(options: argparse.Namespace) -> int:
    from pe_engine.build import plan_budget, start_run
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.runner import Run
    from pe_engine.storage import RunFolder, home_folder

    ledger = Ledger(home_folder())
    config = _config(options)
    if options.resume and RunFolder(options.output).exists():
        _check_same_settings(options.output, config)
        return _go_on(options.output, ledger, options.data)
    dataset = start_run(options.output, config, options.data, ledger)
    print(dataset.describe())
    print(_meaning(plan_budget(config), config))
    return _follow(Run(options.output, ledger, dataset), options.output)


def _resume(options: argparse.Namespace) -> int:
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.storage import home_folder

    return _go_on(options.output, Ledger(home_folder()), options.data)


def _go_on(out: Path, ledger: Ledger, data: Path | None) -> int:
    """Continue the run in ``out``; ``data``: the private images again, to be read and checked."""
    from pe_engine.runner import Run, Status
    from pe_engine.storage import RunFolder

    run = Run(out, ledger)
    if run.snapshot.status is Status.DONE:
        print(f"This run is done: {run.zip_path}")
        return 0
    if data is not None:
        RunFolder(out).adopt_source(data, upload=False)
    return _follow(run, out)


def _budget(options: argparse.Namespace) -> int:
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.reporting import budget_table
    from pe_engine.storage import home_folder

    ledger = Ledger(home_folder())
    if options.release:
        if not any(options.release in entry.open_runs for entry in ledger.datasets()):
            raise RunError(f"No run {options.release!r} holds a reservation. See the table's end.")
        ledger.close_run(options.release)
    print(budget_table(ledger, options.delta))
    return 0


def _sigma(options: argparse.Namespace) -> int:
    from pe_engine.privacy.accounting import noise_multiplier

    print(noise_multiplier(options.epsilon, *_releases(options)))
    return 0


def _epsilon(options: argparse.Namespace) -> int:
    from pe_engine.privacy.accounting import epsilon_spent

    print(f"{epsilon_spent(options.sigma, *_releases(options)):.6g}")
    return 0


def _generators(options: argparse.Namespace) -> int:
    from pe_engine.reporting import describe_embedders, describe_generators

    print(describe_generators([options.name] if options.name else list(GENERATORS)))
    if not options.name:
        print(describe_embedders())
    return 0


def _follow(run: Run, out: Path) -> int:
    """Drive the run with a progress bar; Ctrl-C stops it within one batch."""
    from pe_engine.reporting import ProgressBar
    from pe_engine.runner import Status

    bar = ProgressBar(sys.stderr)
    run.start()
    while not run.snapshot.status.ended:
        try:
            bar.show(run.wait(0.1))
        except KeyboardInterrupt:
            run.stop()
    bar.close(run.wait())
    snapshot = run.snapshot
    if snapshot.status is Status.FAILED:
        print(f"Error: {snapshot.error}", file=sys.stderr)
        return run.exit_code
    if snapshot.status is Status.STOPPED:
        print(f"Stopped. Go on with: python -m pe_engine resume {out}", file=sys.stderr)
        return STOPPED
    spent = snapshot.generations[-1].epsilon_spent
    print(f"Done: {run.zip_path} (ε = {spent:.4g}, δ = {snapshot.config.delta:g})")
    return 0


def _check_same_settings(out: Path, config: RunConfig) -> None:
    from pe_engine.header import Header
    from pe_engine.storage import RunFolder

    stored = Header.from_json(RunFolder(out).read_header()).config
    changed = [f.name for f in fields(config) if getattr(stored, f.name) != getattr(config, f.name)]
    if changed:
        raise RunError(
            f"The run in {out} began with another {changed[0].replace('_', ' ')} "
            f"({getattr(stored, changed[0])!r}). Give the same settings, or continue it as it is "
            f"with: python -m pe_engine resume {out}"
        )


def _meaning(budget: BudgetPlan, config: RunConfig) -> str:
    return (
        f"σ = {budget.noise_multiplier:.4g} votes of noise per candidate; threshold "
        f"{budget.threshold:.4g} votes; ε = {budget.epsilons[-1]:.4g} after "
        f"{config.iterations} generations."
    )


def _releases(options: argparse.Namespace) -> tuple[float, int, int, str]:
    return options.delta, options.iterations, options.neighbours, options.adjacency


# Arguments --------------------------------------------------------------------------------------


def _config(options: argparse.Namespace) -> RunConfig:
    given = {name: getattr(options, name) for name in _DEFAULTS if hasattr(options, name)}
    given["dataset_name"] = options.dataset_name or options.data.resolve().stem
    given["class_prompts"] = {}
    for name, text in options.class_prompt:
        given["class_prompts"].setdefault(name, []).append(text)
    if options.option:
        from pe_engine.components import parse_generator_options

        given["generator_options"] = parse_generator_options(options.generator, options.option)
    return RunConfig(**given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pe_engine",
        description="Differentially private synthetic images by Private Evolution.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="make a synthetic look-alike of a folder of images")
    run.set_defaults(command=_run)
    run.add_argument("data", type=Path, metavar="DATA", help="folder or zip of private images")
    run.add_argument("--output", type=Path, required=True, metavar="OUT", help="folder to make")
    run.add_argument("--resume", action="store_true", help="go on if OUT holds this run already")
    _add_budget(run)
    _add_run_settings(run)

    resume = commands.add_parser("resume", help="go on with a stopped or killed run")
    resume.set_defaults(command=_resume)
    resume.add_argument("output", type=Path, metavar="OUT")
    resume.add_argument(
        "--data", type=Path, help="the same private images again, if their features were not kept"
    )

    budget = commands.add_parser("budget", help="what each data set has spent")
    budget.set_defaults(command=_budget)
    budget.add_argument("--delta", type=float, default=_DEFAULTS["delta"])
    budget.add_argument(
        "--release", metavar="RUN_ID", help="give back what a run that is gone still reserves"
    )

    sigma = commands.add_parser("sigma", help="the noise multiplier σ that a budget needs")
    sigma.set_defaults(command=_sigma)
    _add_budget(sigma)

    epsilon = commands.add_parser("epsilon", help="the ε that a noise multiplier σ spends")
    epsilon.set_defaults(command=_epsilon)
    epsilon.add_argument("--sigma", type=float, required=True)
    _add_budget(epsilon, epsilon=False)

    generators = commands.add_parser("generators", help="what there is, and each one's options")
    generators.set_defaults(command=_generators)
    generators.add_argument("name", nargs="?", choices=list(GENERATORS))
    return parser


def _add_budget(parser: argparse.ArgumentParser, epsilon: bool = True) -> None:
    add = _adder(parser)
    if epsilon:
        add("epsilon", float, "ε of the whole run")
    add("delta", float, "δ; keep it well under 1 / number of images")
    add("iterations", int, "T, how many times the private images vote")
    add("neighbours", int, "k, how many candidates each private image votes for")
    add(
        "adjacency",
        str,
        "neighbouring data sets: one image more or less, or one replaced",
        choices=settings.ADJACENCIES,
    )


def _add_run_settings(parser: argparse.ArgumentParser) -> None:
    add = _adder(parser)
    add("generator", str, "what makes the images", choices=list(GENERATORS))
    parser.add_argument(
        "--option",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the generator; see the command 'generators'",
    )
    add("embedder", str, "what images are compared by", choices=list(EMBEDDERS))
    add("metric", str, "how features are compared", choices=settings.METRICS)
    add("search", str, "library that finds nearest candidates", choices=settings.SEARCHES)
    add("num_samples", _numbers(int), "N, or T + 1 numbers separated by commas", metavar="N")
    add("lookahead", int, "L, variations averaged for each candidate; 0 for none")
    add("threshold", _auto(float), "H in votes, or auto (σ)", metavar="H|auto")
    add("selection", str, "how votes become parents", choices=settings.SELECTIONS)
    add("keep_selected", bool, "selected images enter the next generation themselves")
    add(
        "degrees",
        _numbers(float),
        "T variation degrees from 0 to 1, separated by commas",
        metavar="D1,D2,...",
    )
    add("classes", str, "what names an image's class", choices=settings.CLASS_RULES)
    add("public_class_names", bool, "class names may be shown outside")
    parser.add_argument(
        "--prompt",
        dest="prompts",
        action="append",
        default=[],
        metavar="TEXT",
        help="what to make; may be repeated",
    )
    parser.add_argument(
        "--class-prompt",
        nargs=2,
        action="append",
        default=[],
        metavar=("CLASS", "TEXT"),
        help="a prompt for one class",
    )
    add("image_size", int, "height and width in pixels")
    add(
        "dataset_name",
        str,
        "the name its budget is kept under (default: the folder's name)",
        default=None,
    )
    add("epsilon_cap", float, "refuse if all runs on this data set would spend more than this")
    add("seed", int, "of everything but the noise")
    add("device", str, "where models run", choices=settings.DEVICES)
    parser.add_argument(
        "--forget-features",
        dest="keep_features",
        action="store_false",
        help="keep no private features on disk; a resume then needs DATA again",
    )


def _adder(parser: argparse.ArgumentParser) -> Callable[..., None]:
    """Adds ``--some-name`` for the setting ``some_name`` with the default of ``RunConfig``."""

    def add(name: str, kind: Callable, text: str, **extra: object) -> None:
        flag = "--" + name.replace("_", "-")
        if kind is bool:
            parser.add_argument(flag, action="store_true", help=text)
            return
        default = extra.pop("default", _DEFAULTS[name])
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        if shown not in (None, ""):
            text = f"{text} (default: {shown})"
        parser.add_argument(flag, type=kind, default=default, help=text, **extra)

    return add


def _numbers(kind: Callable[[str], float]) -> Callable[[str], tuple]:
    def numbers(text: str) -> tuple:
        return tuple(kind(part) for part in text.split(",") if part.strip())

    return numbers


def _auto(kind: Callable[[str], float]) -> Callable[[str], float | None]:
    def value(text: str) -> float | None:
        return None if text == "auto" else kind(text)

    return value


def _assignment(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
