"""The command line: ``python -m pe_engine COMMAND``.

Exit codes: 0 done, 2 bad arguments or data, 3 budget refused, 130 stopped.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pe_engine.arguments import bench_plan_of, build_parser, config_of
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, PEError, RunError
from pe_engine.generators import GENERATORS

if TYPE_CHECKING:
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.runner import Run

STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
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
    from pe_engine.build import is_example
    from pe_engine.files import home_folder
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.runner import Run
    from pe_engine.starting import start_run
    from pe_engine.storage import RunFolder

    ledger = Ledger(home_folder())
    config = _agreed(config_of(options), options.yes)
    if options.resume and RunFolder(options.output).exists():
        _check_same_settings(options.output, config)
        return _go_on(options.output, ledger, options.data)
    dataset = start_run(options.output, config, options.data, ledger)
    print(dataset.describe())
    if (said := dataset.found_classes_notice()) and not is_example(options.data):
        print(said)
    print(_meaning(options.output))
    return _follow(Run(options.output, ledger, dataset), options.output)


def _agreed(config: RunConfig, yes: bool) -> RunConfig:
    """The settings with the user's word on what a paid service will cost, asked for if need be."""
    from pe_engine.starting import cost, settled

    if cost(config) is None:  # nobody charges: the rest is checked once, when the run starts
        return config
    bill = cost(settled(config))
    print(bill.describe())
    if bill.accepted >= bill.calls:
        return config
    if bill.accepted:
        raise ConfigError(
            f"You agreed to {bill.accepted} calls by the option most_calls. Set it to {bill.calls} "
            "or more, or ask for fewer samples, iterations or look-ahead variations."
        )
    if not yes and not _says_yes("Go on? [y/N] "):
        raise ConfigError(
            "Nothing was asked for. Say --yes to agree to the cost, or set the option most_calls "
            f"to {bill.calls}."
        )
    agreed = {**config.generator_options, "most_calls": bill.calls}
    return replace(config, generator_options=agreed)


def _says_yes(question: str) -> bool:
    try:
        return sys.stdin.isatty() and input(question).strip().lower() == "y"
    except EOFError:
        return False


def _resume(options: argparse.Namespace) -> int:
    from pe_engine.files import home_folder
    from pe_engine.privacy.ledger import Ledger

    return _go_on(options.output, Ledger(home_folder()), options.data, options.finish)


def _go_on(out: Path, ledger: Ledger, data: Path | None, finish: bool = False) -> int:
    """Continue the run in ``out``, or with ``finish`` release what is there; ``data``: the private
    images again, to be read and checked."""
    from pe_engine.runner import Run
    from pe_engine.snapshot import Status
    from pe_engine.storage import RunFolder

    run = Run(out, ledger)
    if run.snapshot.status is Status.DONE:
        print(f"This run is done: {run.zip_path}")
        return 0
    if finish:
        run.finish_early()
    elif data is not None:
        RunFolder(out).adopt_source(data, upload=False)
    return _follow(run, out)


def _budget(options: argparse.Namespace) -> int:
    from pe_engine.files import home_folder
    from pe_engine.privacy.ledger import Ledger
    from pe_engine.reporting import budget_table

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
    from pe_engine.reporting import describe_embedders, describe_generators, generator_table

    if options.table:
        print(generator_table())
        return 0
    print(describe_generators([options.name] if options.name else list(GENERATORS)))
    if not options.name:
        print(describe_embedders())
    return 0


def _presets(_: argparse.Namespace) -> int:
    from pe_engine.reporting import describe_presets

    print(describe_presets())
    return 0


def _data(options: argparse.Namespace) -> int:
    from pe_engine.datasets.preparing import prepare

    prepare(options.name, options.destination, options.archive, partial(print, flush=True))
    return 0


def _export(options: argparse.Namespace) -> int:
    from pe_engine.takeout.command import run

    return run(options)


def _audit(options: argparse.Namespace) -> int:
    from pe_engine.audit.command import run

    return run(options.full, options.halve_noise, options.coins)


def _bench(options: argparse.Namespace) -> int:
    from pe_engine.bench.measuring import run_bench
    from pe_engine.bench.table import as_text

    result = run_bench(bench_plan_of(options))
    print(as_text(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False), encoding="utf-8")
    return 0


def _follow(run: Run, out: Path) -> int:
    """Drive the run with a progress bar; Ctrl-C stops it within one batch, a second one at once."""
    from pe_engine.reporting import ProgressBar
    from pe_engine.snapshot import Status

    gc.freeze()  # what is loaded by now stays: the collector need not look through it again
    bar = ProgressBar(sys.stderr)
    heeded = 0
    with _counted_interrupts() as interrupts:
        run.start()
        while not run.snapshot.status.ended:
            run.wait(0.1)
            bar.show(run.snapshot)
            if len(interrupts) > heeded:
                heeded = len(interrupts)
                run.stop()
                if heeded > 1:
                    run.give_up()
        bar.close(run.wait())
    snapshot = run.snapshot
    if snapshot.status is Status.FAILED:
        print(f"Error: {snapshot.error}", file=sys.stderr)
        return run.exit_code
    if snapshot.status is Status.STOPPED:
        print(f"Stopped. Go on with: python -m pe_engine resume {out}", file=sys.stderr)
        if snapshot.error:  # its thread hangs, and Python might wait for what that has begun
            sys.stdout.flush()
            os._exit(STOPPED)
        return STOPPED
    made, planned = len(snapshot.generations) - 1, snapshot.config.iterations
    spent, what = snapshot.generations[-1].epsilon_spent, ""
    if made < planned:
        spent, what = snapshot.epsilon_planned, f" of all {planned} generations planned"
    print(f"Done: {run.zip_path} (ε = {spent:.4g}{what}, δ = {snapshot.config.delta:g})")
    return 0


@contextmanager
def _counted_interrupts() -> Iterator[list[int]]:
    """Each Ctrl-C adds to the list, in place of an error that could come up anywhere."""
    interrupts: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # a shell's background job heeds none
        yield interrupts
        return
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _check_same_settings(out: Path, config: RunConfig) -> None:
    from pe_engine.header import Header
    from pe_engine.starting import settled
    from pe_engine.storage import RunFolder

    config = settled(config)
    stored = Header.from_json(RunFolder(out).read_header()).config
    changed = [f.name for f in fields(config) if getattr(stored, f.name) != getattr(config, f.name)]
    if changed:
        raise RunError(
            f"The run in {out} began with another {changed[0].replace('_', ' ')} "
            f"({getattr(stored, changed[0])!r}). Give the same settings, or continue it as it is "
            f"with: python -m pe_engine resume {out}"
        )


def _meaning(out: Path) -> str:
    from pe_engine.header import Header
    from pe_engine.manifest import STARTS
    from pe_engine.storage import RunFolder

    header = Header.from_json(RunFolder(out).read_header())
    config, budget = header.config, header.budget
    start = f"{STARTS[header.start]} " if config.initial else ""
    return (
        f"{start}σ = {budget.noise_multiplier:.4g} votes of noise per candidate; threshold "
        f"{budget.threshold:.4g} votes; ε = {budget.epsilons[-1]:.4g} for each {config.unit} after "
        f"{config.iterations} generations."
    )


def _releases(options: argparse.Namespace) -> tuple[float, int, int, str]:
    persons = options.person_votes is not None
    votes = options.person_votes if persons else options.neighbours
    return options.delta, options.iterations, votes, options.adjacency


COMMANDS = {
    "run": _run,
    "resume": _resume,
    "budget": _budget,
    "sigma": _sigma,
    "epsilon": _epsilon,
    "generators": _generators,
    "presets": _presets,
    "data": _data,
    "export": _export,
    "audit": _audit,
    "bench": _bench,
}
