"""The handlers of the page over a real queue of runs: uploads, consent, resume, full disks."""

import json
import re
import time
import zipfile
from dataclasses import replace

import pytest
from loops import awaited
from test_settings import FIELDS

from pe_engine.data import Limits
from pe_engine.errors import RunError
from pe_engine.jobs import JobManager
from pe_engine.privacy.accounting import composed_epsilon
from pe_engine.snapshot import Status
from pe_engine.ui.api import Api
from pe_engine.ui.handlers import UNCHANGED, Handlers
from pe_engine.ui.house import LOCAL
from pe_engine.ui.identity import STRANGER, identity
from pe_engine.ui.local_visitors import machines_owner
from pe_engine.ui.private_images import no_question
from pe_engine.ui.uploads import Uploads

ME = machines_owner()
VISITOR = identity("account", "ann")

QUICK = FIELDS | {"iterations": "1", "num_samples": "30", "lookahead": "0", "epsilon": "5"}
FORGETFUL = QUICK | {"iterations": "20", "num_samples": "3000", "keep_features": False}


@pytest.fixture
def handlers(home):
    manager = JobManager(home)
    yield Handlers(Uploads(home), manager, LOCAL)
    manager.close()


def upload(handlers, path):
    token = handlers.uploads.begin(ME.owner)
    handlers.uploads.add_zip_piece(ME.owner, token, 0, path.read_bytes())
    handlers.uploads.finish(ME.owner, token)
    return {"kind": "upload", "token": token, "name": "digits"}


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_an_upload_is_the_runs_once_it_has_started(handlers, digits):
    source = upload(handlers, digits)
    run_id, used, summary, question, problem = handlers.start(ME, source, QUICK, [])
    assert problem == summary == ""
    assert used["kind"] == "" and "drop them again" in used["note"]
    assert question == no_question()
    assert list(handlers.uploads.folder.iterdir()) == []
    handlers.uploads.remove(ME.owner, source["token"])  # pressed before the answer came
    run = handlers.manager.get(run_id)
    assert run.wait(60).status is Status.DONE
    again = handlers.start(ME, source, QUICK, [])
    assert again[0] == "" and "Drop them again" in again[-1]


def test_a_refused_start_leaves_the_upload(handlers, digits):
    source = upload(handlers, digits)
    answer = handlers.start(ME, source, QUICK | {"epsilon": "-1"}, [])
    assert answer[:-1] == ("", *UNCHANGED)
    assert "must lie from" in answer[-1]
    assert handlers.uploads.path(ME.owner, source["token"]).is_file()


def test_a_disk_problem_is_a_sentence_without_the_path(handlers, digits, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "/secret/place")

    source = upload(handlers, digits)
    made = handlers.start(ME, {"kind": "example"}, QUICK, [])[0]
    handlers.manager.get(made).wait(60)
    for name in ("submit", "resume", "delete"):
        monkeypatch.setattr(handlers.manager, name, full)
    run_id = handlers.start(ME, source, QUICK, [])[0]
    assert run_id == ""
    for problem in (handlers.start(ME, source, QUICK, [])[-1], handlers.delete(ME, made)):
        assert "No space left on device" in problem
        assert "secret" not in problem


def test_what_was_said_of_class_names_is_asked_anew_of_other_images(handlers, digits, tmp_path):
    words = tmp_path / "words.zip"
    with zipfile.ZipFile(digits) as old, zipfile.ZipFile(words, "w") as new:
        for name in old.namelist():
            new.writestr(f"person{name}", old.read(name))
    for source, visible in [
        (upload(handlers, words), True),
        (upload(handlers, digits), False),
        ({"kind": "example"}, False),
        ({"kind": ""}, False),
        ({"kind": "upload", "token": "0" * 32}, False),
    ]:
        question = handlers.images.describe(ME, source, FIELDS)[1]
        assert (question["visible"], question["value"]) == (visible, False)


@pytest.fixture
def prompted(handlers, digits):
    """A finished run of this server, with settings that tell of the private images."""
    fields = QUICK | {"prompts": "0: A\n1: B\n2: C", "public_class_names": True}
    run_id = handlers.start(ME, upload(handlers, digits), fields | {"epsilon_cap": "9"}, [])[0]
    assert handlers.manager.get(run_id).wait(60).status is Status.DONE
    return run_id


def test_settings_seen_again(handlers, prompted):
    config, unsaid = handlers.settings_of(ME, prompted)
    assert config.class_prompts == {"0": ("A",), "1": ("B",), "2": ("C",)}
    assert unsaid == {"public_class_names"}
    handlers.owner = False
    assert handlers.settings_of(ME, prompted)[1] == {
        "public_class_names",
        "dataset_name",
        "epsilon_cap",
        "class_names",
        "class_map",
    }
    assert handlers.settings_of(ME, "0" * 32) is handlers.settings_of(ME, "nonsense") is None


def test_others_do_not_see_paths_and_addresses(handlers, prompted, monkeypatch):
    run = handlers.manager.get(prompted)
    options = {"model": "/home/x17/tuned", "steps": 3}
    config = replace(
        run.snapshot.config,
        generator="stable_diffusion",
        generator_options=options,
        initial="/home/x17/run",
    )
    monkeypatch.setattr(type(run), "snapshot", replace(run.snapshot, config=config))
    assert handlers.settings_of(ME, prompted)[0].generator_options == options
    handlers.owner = False
    seen, unsaid = handlers.settings_of(ME, prompted)
    assert seen.generator_options == {"steps": 3}
    assert seen.initial == "" and "dataset_name" in unsaid


def test_what_a_run_starts_from_is_part_of_the_budget_told(handlers, prompted):
    fields = QUICK | {"initial": str(handlers.manager.get(prompted).folder)}

    def epsilon(fields, who=ME):
        told, _ = awaited(handlers.budget(who, fields | {"estimate": ""}))
        return float(re.search(r"ε = ([\d.]+)", told)[1])

    alone = epsilon(QUICK)
    assert epsilon(fields) > alone + 1
    assert epsilon(fields, VISITOR) == alone  # a visitor's path is not opened


def test_the_owner_is_told_what_a_data_set_has_spent(handlers, prompted):
    name = handlers.manager.get(prompted).snapshot.config.dataset_name
    fields = QUICK | {"estimate": "", "dataset_name": name}

    def told(who, **changed):
        return handlers.spent(who, fields | changed)

    so_far, then = re.search(
        r"reserved ε = ([\d.]+) so far.*ε = ([\d.]+) for each", told(ME)
    ).groups()
    charges = handlers.manager.own_ledger(ME.owner, True).spent(name)
    assert float(so_far) == pytest.approx(composed_epsilon(charges, 1e-5), rel=1e-3)
    assert float(then) == pytest.approx(composed_epsilon(charges * 2, 1e-5), rel=1e-3)
    assert told(ME, dataset_name="another") == told(ME, epsilon="-1") == ""
    for other in (VISITOR, STRANGER):  # no ledger of their own here: nothing of the machine's
        assert told(other) == ""
    assert "nothing bounds" in told(ME, persons="prefix")


def test_no_code_is_run_from_a_page(handlers, digits, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    answer = handlers.start(ME, upload(handlers, digits), QUICK | {"generator": f"{file}:Own"}, [])
    assert "not known" in answer[-1]
    assert not (tmp_path / "ran").exists()


def test_others_do_not_see_prompts_of_classes_whose_names_are_private(
    handlers, prompted, monkeypatch
):
    run = handlers.manager.get(prompted)
    private = replace(run.snapshot, public_names=False)
    monkeypatch.setattr(type(run), "snapshot", private)
    assert handlers.settings_of(ME, prompted)[0].class_prompts
    handlers.owner = False
    assert handlers.settings_of(ME, prompted)[0].class_prompts == {}


def test_a_run_that_kept_no_features_goes_on_with_the_images_dropped_again(
    handlers, digits, tmp_path
):
    run_id = handlers.start(ME, upload(handlers, digits), FORGETFUL, [])[0]
    run = handlers.manager.get(run_id)
    until(lambda: len(run.snapshot.generations) >= 2)
    handlers.stop(ME, run_id)
    assert run.wait(60).status is Status.STOPPED

    *unchanged, problem = handlers.resume(ME, run_id, {"kind": ""})
    assert tuple(unchanged) == UNCHANGED
    assert "Drop the same images again, then press Resume" in problem
    assert run.snapshot.status is Status.STOPPED and run.snapshot.error == ""
    with pytest.raises(RunError, match="the same images again"):
        Api(handlers).resume_run(ME, run_id)

    others = tmp_path / "others.zip"
    with zipfile.ZipFile(digits) as old, zipfile.ZipFile(others, "w") as new:
        for name in old.namelist()[1:]:
            new.writestr(name, old.read(name))
    used, summary, question, problem = handlers.resume(ME, run_id, upload(handlers, others))
    assert used["kind"] == summary == problem == "" and question == no_question()
    assert "not the images" in run.wait(60).error

    made = len(run.snapshot.generations)
    assert handlers.resume(ME, run_id, upload(handlers, digits))[-1] == ""
    until(lambda: len(run.snapshot.generations) > made)
    assert list(handlers.uploads.folder.iterdir()) == []
    handlers.stop(ME, run_id)
    assert run.wait(60).status is Status.STOPPED


def test_a_run_that_has_its_features_leaves_the_drop_zone_alone(handlers, digits):
    run_id = handlers.start(ME, upload(handlers, digits), FORGETFUL | {"keep_features": True}, [])[
        0
    ]
    run = handlers.manager.get(run_id)
    until(lambda: len(run.snapshot.generations) >= 2)
    handlers.stop(ME, run_id)
    run.wait(60)
    source = upload(handlers, digits)
    made = len(run.snapshot.generations)
    assert handlers.resume(ME, run_id, source) == (*UNCHANGED, "")
    until(lambda: len(run.snapshot.generations) > made)
    handlers.stop(ME, run_id)
    assert handlers.uploads.path(ME.owner, source["token"]).is_file()
    assert run.wait(60).status is Status.STOPPED


def test_a_shared_server_has_tighter_limits(handlers, digits):
    handlers.images.limits = Limits(members=3)
    problem = handlers.images.describe(ME, upload(handlers, digits), FIELDS)[-1]
    assert "3" in problem and "files" in problem


SD = QUICK | {"generator": "stable_diffusion"}


@pytest.fixture
def model(tmp_path):
    """What tells the sizes that a model can make: 32 pixels by default, in steps of 8."""
    root = tmp_path / "models" / "private-name"
    parts = {"vae": {"block_out_channels": [1, 1, 1, 1]}, "unet": {"sample_size": 4}}
    for part, settings in parts.items():
        (root / part).mkdir(parents=True)
        (root / part / "config.json").write_text(json.dumps(settings))
    index = {
        "_class_name": "StableDiffusionPipeline",
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (root / "model_index.json").write_text(json.dumps(index))
    return str(root)


@pytest.mark.parametrize(
    ("fields", "options", "sentence"),
    [
        ({}, {"model": "no-such/model"}, "The model no-such/model is not on this computer"),
        ({}, {"model": "no such place"}, "There is no folder"),
        ({}, {"variation_model": "no-such/model"}, "no-such/model is not on this computer"),
        ({"image_size": "30"}, {}, "The image size is 30 pixels"),
        ({}, {"steps": "many"}, "The option Steps of stable_diffusion"),
        ({}, {"guidance": "-1"}, "The option Guidance is -1,"),
        ({}, {"scheduler": "pndm"}, "The option Scheduler is"),
        ({}, {"colour": "red"}, "has no option"),
    ],
)
def test_what_stable_diffusion_cannot_do_is_one_sentence(
    handlers, model, no_network, ledger, fields, options, sentence
):
    options = list(({"model": model} | options).items())
    *answer, problem = handlers.start(ME, {"kind": "example"}, SD | fields, options)
    assert answer == ["", *UNCHANGED]
    assert sentence in problem and problem.count("<p") == 1
    assert ledger.datasets() == []


def test_a_model_that_cannot_be_loaded_ends_the_run_in_a_sentence(
    handlers, digits, model, no_network, ledger
):
    run_id, *_, problem = handlers.start(ME, upload(handlers, digits), SD, [("model", model)])
    assert problem == ""
    ended = handlers.manager.get(run_id).wait(60)
    assert ended.status is Status.FAILED
    assert "cannot be loaded" in ended.error
    assert [entry.reserved for entry in ledger.datasets()] == [0]


def test_visitors_of_a_shared_server_cannot_ask_it_for_other_models(handlers, model, no_network):
    handlers.owner = False
    for option in ("model", "variation_model", "preview_autoencoder"):
        for asked in (model, "/nowhere", "some/other"):
            problem = handlers.start(VISITOR, {"kind": "example"}, SD, [(option, asked)])[-1]
            assert "This server takes no model" in problem
    known = handlers.start(VISITOR, {"kind": "example"}, SD, [("model", "stabilityai/sd-turbo")])[
        -1
    ]
    assert "is not on this computer" in known


@pytest.mark.parametrize("new_name", ["zero", ""])
def test_the_prompt_of_a_renamed_class_is_not_made_one_for_all(handlers, digits, new_name):
    """It begins with the name that is not to leave."""
    class_map = json.dumps({"0": new_name})
    fields = QUICK | {"prompts": "0: A\n1: B", "class_map": class_map}
    answer = handlers.start(ME, upload(handlers, digits), fields, [])
    assert answer[0] == "" and "renamed or left out" in answer[-1]
