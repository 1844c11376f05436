"""The head of the README by which Hugging Face runs this repository as a Space."""

import re

import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT

# hub-docs, spaces-config-reference; `license` is of every repository's card.
KNOWN = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version"),
    *("suggested_hardware", "app_file", "app_port", "hf_oauth", "startup_duration_timeout"),
    *("short_description", "tags", "pinned", "license", "header", "models"),
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
LONGEST_DESCRIPTION = 60  # characters; the hub refuses a push with more


def card(path="README.md"):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", (ROOT / path).read_text("utf-8"), re.S)[1])


def test_the_card_says_what_a_space_needs():
    head = card()
    assert set(head) <= KNOWN
    assert head["sdk"] == "gradio" and (ROOT / head["app_file"]).is_file()
    assert {head["colorFrom"], head["colorTo"]} <= COLOURS
    assert len(head["short_description"]) <= LONGEST_DESCRIPTION
    assert head["hf_oauth"] is True  # else a Space has no login, and the page does not start
    assert head["suggested_hardware"] == "cpu-basic"
    assert re.fullmatch(r"\d+[mh]", head["startup_duration_timeout"])


def test_the_versions_are_those_that_the_requirements_ask_for():
    head, text = card(), (ROOT / "requirements.txt").read_text()
    asked = [Requirement(line.partition("#")[0]) for line in text.splitlines()]
    by_name = {requirement.name: requirement.specifier for requirement in asked}
    assert str(head["sdk_version"]) in by_name["gradio"]
    assert {"2.10.0", "2.11.0"} <= set(by_name["torch"].filter(["2.9.1", "2.10.0", "2.11.0"]))
    assert str(head["python_version"]) in ("3.10", "3.12")


def test_a_docker_space_has_the_same_card_but_for_how_it_runs():
    text = (ROOT / "deploy" / "README.md").read_text("utf-8")
    docker = yaml.safe_load(re.search(r"```yaml\n---\n(.*?)\n---\n```", text, re.S)[1])
    assert set(docker) <= KNOWN and docker["sdk"] == "docker"
    exposed = re.search(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.M)[1]
    assert docker["app_port"] == int(exposed)
    for name in ("title", "emoji", "hf_oauth", "short_description"):
        assert docker[name] == card()[name]
