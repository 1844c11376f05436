"""Going on from one's own run, by its id: what the form is filled with, and what is refused."""

import re
from dataclasses import replace

import pytest
from loops import awaited
from test_handlers import QUICK
from test_settings import FIELDS

from pe_engine.config import RunConfig
from pe_engine.continuing import continued
from pe_engine.errors import ConfigError
from pe_engine.jobs import JobManager
from pe_engine.snapshot import Status
from pe_engine.ui.handlers import Handlers
from pe_engine.ui.house import SHARED
from pe_engine.ui.identity import identity
from pe_engine.ui.settings import shown_fields
from pe_engine.ui.uploads import Uploads

ANN, BOB = (identity("account", name) for name in ("ann", "bob"))


@pytest.fixture
def handlers(home):
    manager = JobManager(home, apart=True)
    yield Handlers(Uploads(home), manager, SHARED)
    manager.close()


def start(handlers, who, digits, **changes):
    token = handlers.uploads.begin(who.owner)
    handlers.uploads.add_zip_piece(who.owner, token, 0, digits.read_bytes())
    handlers.uploads.finish(who.owner, token)
    fields = QUICK | {"dataset_name": "digits"} | changes
    run_id, *_, problem = handlers.start(who, {"kind": "upload", "token": token}, fields, [])
    return run_id, problem


@pytest.fixture
def run_id(handlers, digits):
    """A finished run of Ann's."""
    run_id, problem = start(handlers, ANN, digits)
    assert problem == ""
    assert handlers.manager.get(run_id).wait(60).status is Status.DONE
    return run_id


def test_a_visitor_goes_on_from_their_own_run(handlers, digits, run_id):
    wish = {"run_id": run_id, "generation": "1", "iterations": "2", "epsilon": "5"}
    config, unsaid, said = handlers.settings_for(ANN, wish)
    assert "Drop the same images again" in said
    assert "dataset_name" in unsaid and "initial" not in unsaid
    filled = {n: v for n, v in shown_fields(config).items() if n not in unsaid and n in FIELDS}
    assert filled["initial"] == f"run:{run_id}:1"
    assert (filled["iterations"], filled["epsilon"], filled["seed"]) == ("2", "5.0", "1")

    def epsilon(who):
        told, _ = awaited(handlers.budget(who, QUICK | filled))
        return float(re.search(r"ε = ([\d.]+)", told)[1])

    together = epsilon(ANN)
    assert together > 6
    new, problem = start(handlers, ANN, digits, **filled)
    assert problem == ""
    last = handlers.manager.get(new).wait(60)
    assert (last.status, last.error) == (Status.DONE, "")
    assert last.generations[-1].epsilon_spent == pytest.approx(together, rel=1e-3)
    first = handlers.manager.get(run_id).population(1)
    assert (handlers.manager.get(new).population(0).images == first.images).all()
    assert handlers.settings_for(ANN, {"run_id": new})[0].initial == ""  # it is a path


@pytest.mark.parametrize("asked", ["run:{}:1", "run:{}:0"])
def test_anothers_run_is_none(handlers, digits, run_id, asked):
    theirs, none = asked.format(run_id), asked.format("0" * 32)
    _, refused = start(handlers, BOB, digits, initial=theirs)
    assert "no such run" in refused
    assert refused == start(handlers, BOB, digits, initial=none)[1]
    told, _ = awaited(handlers.budget(BOB, QUICK | {"initial": theirs}))
    assert "no such run" in told
    wish = {"generation": "0", "iterations": "2", "epsilon": "5"}
    seen, nothing = (
        handlers.settings_for(BOB, wish | {"run_id": run}) for run in (run_id, "0" * 32)
    )
    assert seen == nothing and seen[0] is None


def test_typed_paths_stay_refused(handlers, digits, run_id):
    folder = handlers.manager.get(run_id).folder
    for typed in (str(folder), f"{folder}:1", f"run:{run_id}", f"run:{run_id}:1:1", "run:../x:1"):
        _, problem = start(handlers, ANN, digits, initial=typed)
        assert "path" in problem, typed
    _, problem = start(handlers, ANN, digits, initial=f"run:{run_id}:7")
    assert "no generation 7" in problem and str(folder.parent) not in problem
    for wish in ({"generation": "7"}, {"generation": "x"}, {"iterations": ""}, {"epsilon": "-1"}):
        given = {"run_id": run_id, "generation": "1", "iterations": "2", "epsilon": "5"} | wish
        config, _, said = handlers.settings_for(ANN, given)
        assert config is None and "problem" in said


def test_what_follows_keeps_to_the_plan_and_then_to_its_last():
    config = RunConfig(
        dataset_name="x", iterations=3, num_samples=(40, 30, 20, 10), degrees=(1.0, 0.5, 0.25)
    )
    more = continued(config, 1, 4, 2.0)
    assert more.sample_schedule == (30, 20, 10, 10, 10)
    assert more.degree_schedule == (0.5, 0.25, 0.25, 0.25)
    assert (more.epsilon, more.iterations, more.seed, more.initial) == (2.0, 4, 1, "")
    assert continued(config, 3, 2, 1.0).num_samples == (10,)
    assert continued(replace(config, seed=2**63 - 1), 0, 1, 1.0).seed == 0
    with pytest.raises(ConfigError):
        continued(config, 1, 201, 1.0)
