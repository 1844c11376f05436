"""Private Evolution with every generator there is, to a zip whose every member is checked."""

import json
import zipfile
from dataclasses import replace

import pytest
import torch

from pe_engine.generators import GENERATORS
from pe_engine.generators.improved_options import Options
from pe_engine.generators.improved_unet import UNet
from tests.generators.runs import evolved
from tests.paid import Paid

SMALL = {"model_image_size": 32, "num_channels": 32, "num_res_blocks": 1}
LOCAL = {
    "avatar": {},
    "composite": {"simulated": 1, "model_options": "steps=2; guidance=1"},
    "image_pool": {"pool": "{folder}/public.zip", "radius": 5.0},
    "improved_diffusion": {
        **SMALL,
        "model_path": "{folder}/weights.pt",
        "timestep_respacing": "5",
        "variation_degree_schedule": "1,2,3",
    },
    "stable_diffusion": {"steps": 2, "guidance": 1.0},
    "text_render": {},
}
BY_CALLS = {"hf_inference", "openai_images"}  # in test_paid_runs


def test_every_generator_is_run():
    assert set(LOCAL) | BY_CALLS == set(GENERATORS)


@pytest.mark.parametrize("name", LOCAL)
def test_three_generations_end_in_a_verified_zip(
    name, tmp_path, config, digits, other_digits, ledger
):
    (tmp_path / "public.zip").write_bytes(other_digits.read_bytes())
    torch.manual_seed(0)
    torch.save(UNet(Options(**SMALL).shape()).state_dict(), tmp_path / "weights.pt")
    options = {
        option: value.format(folder=tmp_path) if isinstance(value, str) else value
        for option, value in LOCAL[name].items()
    }
    settings = replace(
        config, generator=name, generator_options=options, image_size=32, num_samples=(12,)
    )
    run = evolved(tmp_path / "out", settings, digits, ledger)
    assert [view.generation for view in run.snapshot.generations] == [0, 1, 2, 3]
    assert "pixels" not in run.population(3).state  # images are stored once
    told = json.loads(zipfile.ZipFile(run.zip_path).read("manifest.json"))
    assert told["settings"]["generator"] == name
    assert str(tmp_path) not in json.dumps(told)


def test_the_weights_of_a_model_are_told_by_their_hash(tmp_path, config, digits, ledger):
    class Weighted(Paid):
        provenance = {"SHA-256 of model_path": "abc"}  # noqa: RUF012

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.paid.Paid", Weighted)
        settings = replace(
            config, generator="tests.paid:Paid", generator_options={"most_calls": 1000}
        )
        run = evolved(tmp_path / "out", settings, digits, ledger)
    assert "SHA-256 of model_path: abc" in run.snapshot.notices
    told = json.loads(zipfile.ZipFile(run.zip_path).read("manifest.json"))
    assert told["versions"]["SHA-256 of model_path"] == "abc"
