"""The audits of the mechanism hold, and notice half of the right noise where they claim to."""

import pytest

from pe_engine import release
from pe_engine.audit import calibration, canaries, command, committed, noise
from pe_engine.audit.finding import Finding
from pe_engine.cli import main

COINS = 20_241_101  # fixed: a false alarm must be the noise's fault, once in 10,000 times
CLAIMS = {"noise": 5, "canaries": 3}
AUDITS = {
    "noise": noise.audit,
    "canaries": lambda work: canaries.audit(work, COINS),
}


@pytest.mark.parametrize("audit", [*AUDITS.values(), calibration.audit, committed.audit])
def test_every_check_holds(audit, tmp_path):
    for finding in audit(tmp_path / "work"):
        assert finding.held, f"{finding.checked}: {finding.figure}, but {finding.bound}"


@pytest.mark.parametrize("name", AUDITS)
def test_half_of_the_right_noise_is_noticed_by_all_that_claim_to(name, tmp_path):
    with command.half_noise(True):
        findings = list(AUDITS[name](tmp_path / "work"))
    claims = [finding for finding in findings if finding.sees_half_noise]
    assert len(claims) == CLAIMS[name]
    for finding in claims:
        assert not finding.held, f"{finding.checked}: {finding.figure}, within {finding.bound}"


def test_direct_convolution_gives_the_published_epsilons():
    assert calibration.epsilon_of_sum(1.342153, 5, 1e-5) == pytest.approx(7.98922, abs=1e-4)
    assert calibration.epsilon_of_sum(12.025087, 5, 1e-5) == pytest.approx(0.670035, abs=1e-6)
    assert calibration.epsilon_of_sum(100.0, 1, 0.1) == 0.0


HELD = Finding("noise", "variance", "1.0", "0.9 to 1.1", True, sees_half_noise=True)
BROKEN = Finding("noise", "variance", "0.2", "0.9 to 1.1", False, sees_half_noise=True)
SILENT = Finding("replay", "things", "all the same", "the same", True)


@pytest.mark.parametrize(
    ("findings", "halve_noise", "code", "said"),
    [
        ([HELD, SILENT], False, 0, "All 2 checks hold."),
        ([HELD, BROKEN], False, 1, "**DOES NOT HOLD**"),
        ([BROKEN, SILENT], True, 0, "noticed, as claimed"),
        ([BROKEN, HELD], True, 1, "**MISSED**"),
    ],
)
def test_the_exit_code_is_0_only_if_all_is_as_it_should_be(
    findings, halve_noise, code, said, monkeypatch, capsys, home
):
    monkeypatch.setattr(command, "all_findings", lambda *_: iter(findings))
    assert command.run(full=False, halve_noise=halve_noise, coins=7) == code
    told = capsys.readouterr()
    assert said in told.out
    assert "coins 7" in told.out
    assert "variance" in told.err
    assert not home.exists()


def test_the_command_line_says_what_to_audit(monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run", lambda *given: asked.append(given) or 0)
    assert main(["audit"]) == 0
    assert main(["audit", "--full", "--halve-noise", "--coins", "3"]) == 0
    assert asked == [(False, False, None), (True, True, 3)]


def test_half_noise_ends_with_its_context():
    right = release.discrete_gaussian
    with command.half_noise(True):
        assert release.discrete_gaussian is not right
    with command.half_noise(False):
        assert release.discrete_gaussian is right
    assert release.discrete_gaussian is right
