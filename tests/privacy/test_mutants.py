"""Every mistake that would break the promise is noticed by the check that is there for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pe_engine.audit import gate
from pe_engine.audit.mutants import MUTANTS, Edit, Mutant


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Findings to come, by name; two mutants at a time."""
    work = tmp_path_factory.mktemp("mutants")
    with gate.launchers() as launch, ThreadPoolExecutor(gate.PROCESSES) as pool:
        tried = {"unchanged": pool.submit(gate.try_unchanged, work / "unchanged", launch)}
        for i, mutant in enumerate(MUTANTS):
            tried[mutant.name] = pool.submit(gate.try_mutant, work / str(i), mutant, launch)
        yield tried
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", ["unchanged", *(mutant.name for mutant in MUTANTS)])
def test_it_is_noticed_and_nothing_else_is(name, tried):
    finding = tried[name].result()
    assert finding.held, f"{finding.checked}: {finding.figure}; should be {finding.bound}"


def test_all_mistakes_that_were_named_are_there():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 35


def test_an_edit_must_fit_the_source_once(tmp_path):
    (tmp_path / "release.py").write_text("a = 1\nb = 1\n")
    with pytest.raises(ValueError, match="2 times"):
        Edit("release.py", " = 1", " = 2").apply(tmp_path)
    with pytest.raises(ValueError, match="0 times"):
        Edit("release.py", "c = 1", "c = 2").apply(tmp_path)
    Edit("release.py", "a = 1", "a = 2").apply(tmp_path)
    assert (tmp_path / "release.py").read_text() == "a = 2\nb = 1\n"


@pytest.mark.parametrize("forks", [True, False])
def test_a_copy_that_breaks_down_is_not_taken_for_noticed(forks, tmp_path, monkeypatch):
    if not forks:
        monkeypatch.delattr(gate.os, "fork", raising=False)
    broken = Mutant(
        "no such name",
        "ledger",
        "",
        (Edit("voting.py", "QUERY_BATCH = 1024", "QUERY_BATCH = nothing"),),
    )
    with gate.launchers() as launch, pytest.raises(RuntimeError, match="name 'nothing' is not"):
        gate.try_mutant(tmp_path / "m", broken, launch)
