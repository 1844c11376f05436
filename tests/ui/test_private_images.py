"""What the page tells of private images, and to whom: classes renamed, paths, sizes and copies."""

import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_settings import FIELDS

from pe_engine.boundary import shown
from pe_engine.build import EXAMPLE
from pe_engine.jobs import JobManager
from pe_engine.snapshot import Status
from pe_engine.ui.handlers import Handlers
from pe_engine.ui.house import LOCAL
from pe_engine.ui.identity import identity
from pe_engine.ui.local_visitors import machines_owner
from pe_engine.ui.uploads import Uploads

OWNER = machines_owner()
KEYLESS = identity("browser", "1" * 32, local=True)
ACCOUNT = identity("account", "ann")
QUICK = FIELDS | {"iterations": "1", "num_samples": "30", "lookahead": "0", "epsilon": "5"}


@pytest.fixture
def page(home, digits):
    """Handlers, and ``digits`` as the machine's owner's upload, with a bad file and a copy."""
    uploads = Uploads(home)
    manager = JobManager(home)
    handlers = Handlers(uploads, manager, LOCAL)
    token = uploads.begin(OWNER.owner)
    uploads.add_zip_piece(OWNER.owner, token, 0, digits.read_bytes())
    uploads.finish(OWNER.owner, token)
    with zipfile.ZipFile(uploads.path(OWNER.owner, token), "a") as archive:
        archive.writestr("<b>.txt", "no image")
        archive.writestr("0_copy.png", archive.read(archive.namelist()[0]))
    source = {"kind": "upload", "token": token, "name": "digits"}
    yield SimpleNamespace(handlers=handlers, images=handlers.images, source=source, manager=manager)
    manager.close()


def described(page, **said):
    return page.images.describe(OWNER, page.source, FIELDS | said)


def test_the_summary_has_a_row_for_each_class_and_reasons_with_names(page):
    summary, _, class_map, problem = described(page)
    assert class_map == problem == ""
    assert "61 images in 3 classes" in summary
    assert summary.count('<li class="class-row"') == 3
    assert 'data-raw="0" data-count="21"' in summary
    assert "image: &lt;b&gt;.txt" in summary
    assert "Declare these classes" in summary


def test_the_summary_of_a_public_example_asks_for_no_declaration(page):
    for source in ({"kind": "example"}, {"kind": "path", "token": str(EXAMPLE)}):
        summary = page.images.describe(OWNER, source, FIELDS)[0]
        assert "5,000 images in 10 classes" in summary and "Declare" not in summary


def test_names_that_classes_were_given_are_shown_again_where_there_are_such_classes(page):
    wanted = {"0": "<round>", "1": "", "elsewhere": "x"}
    summary, question, class_map, problem = described(page, class_map=json.dumps(wanted))
    assert json.loads(class_map) == {"0": "<round>", "1": ""}
    assert "41 images in 2 classes" in summary and problem == ""
    assert 'value="&lt;round&gt;"' in summary and "left-out" in summary
    assert question["visible"]  # a name that is a word may say who is pictured
    merged = described(page, class_map='{"0": "2"}')[0]
    assert merged.count("class-row merged") == 2
    # whatever the rule makes of the names, what was said of others is forgotten
    assert described(page, classes="none", class_map='{"0": "2"}')[2] == ""
    nothing = page.images.describe(OWNER, {"kind": ""}, FIELDS | {"class_map": '{"0": "2"}'})
    assert nothing[0] == nothing[2] == nothing[3] == ""


@pytest.mark.parametrize("sent", ["{", "[1]", '{"a": 1}', '{"a": {"b": "c"}}', "1", "null"])
def test_a_map_that_the_page_does_not_write_is_a_sentence(page, sent):
    assert "cannot be read" in described(page, class_map=sent)[-1]
    assert (
        "cannot be read"
        in page.handlers.start(OWNER, page.source, QUICK | {"class_map": sent}, [])[-1]
    )


def test_a_name_that_cannot_be_is_told_at_once(page):
    said = FIELDS | {"class_map": '{"0": "a/b"}'}
    question, problem = page.images.name_classes(OWNER, page.source, said)
    assert "cannot be called &#x27;a/b&#x27;" in problem and not question["visible"]


def test_classes_are_declared_as_they_are_called_and_back(page):
    said = FIELDS | {"class_map": '{"0": "round", "1": ""}'}
    class_names, rule, summary, *_, problem = page.images.declare_classes(OWNER, page.source, said)
    assert (class_names, rule, problem) == ("2, round", "prefix", "")
    assert "You declared these classes" in summary and "class-row fixed" in summary
    said |= {"class_names": class_names, "classes": rule}
    assert described(page, **said)[2] == said["class_map"]
    class_names, rule, summary, *_ = page.images.declare_classes(OWNER, page.source, said)
    assert (class_names, rule) == ("", "prefix")
    assert 'value="round"' in summary
    comma = page.images.declare_classes(OWNER, page.source, FIELDS | {"class_map": '{"0": "a,b"}'})
    assert "has a comma" in comma[-1]


def test_a_run_calls_the_classes_so_and_tells_its_owner_alone(page):
    class_map = {"0": "round", "1": "", "2": "round"}
    fields = QUICK | {"class_map": json.dumps(class_map), "prompts": "round: O\nfor all"}
    run_id, *_, problem = page.handlers.start(OWNER, page.source, fields, [])
    assert problem == ""
    run = page.manager.get(run_id)
    assert run.wait(60).status is Status.DONE
    config = run.snapshot.config
    assert run.snapshot.class_names == ("round",)
    assert config.class_map == class_map
    assert config.class_prompts == {"round": ("O",)} and config.prompts == ("for all",)
    assert shown(run.snapshot, owner=False).config.class_map == {}
    again, unsaid = page.handlers.settings_of(OWNER, run_id)
    assert again.class_map == class_map and "class_map" not in unsaid  # for the same images again
    page.handlers.owner = False
    assert page.handlers.settings_of(OWNER, run_id)[0].class_map == {}


@pytest.mark.parametrize("who", [KEYLESS, ACCOUNT])
def test_nobody_but_the_machines_owner_names_a_path(page, digits, who):
    source = {"kind": "path", "token": str(digits)}
    for problem in (
        page.images.describe(who, source, FIELDS)[-1],
        page.images.name_classes(who, source, FIELDS)[-1],
        page.images.declare_classes(who, source, FIELDS)[-1],
        page.handlers.start(who, source, QUICK, [])[-1],
    ):
        assert ("has no key" if who.local else "opens no folder") in problem
    assert page.images.census(who, source) == ""
    assert page.images.describe(OWNER, source, FIELDS)[-1] == ""
    assert "60 images" in page.images.describe(OWNER, source, FIELDS)[0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("  ", "Type where"),
        ("{folder}/gone", "no such folder"),
        ("{folder}/text", "neither a folder nor a zip"),
        ("{folder}/empty", "no image in it"),
        ("bad\0name", "no such folder"),
    ],
)
def test_a_path_that_cannot_be_used_is_a_sentence(page, tmp_path, typed, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("text")
    source = {"kind": "path", "token": typed.format(folder=tmp_path)}
    assert said in page.images.describe(OWNER, source, FIELDS)[-1]
    assert said in page.handlers.start(OWNER, source, QUICK, [])[-1]
    assert page.images.census(OWNER, source) == ""


def test_a_run_leaves_what_a_path_names_where_it_is(page, digits):
    source = {"kind": "path", "token": str(digits)}
    run_id, *told, problem = page.handlers.start(OWNER, source, QUICK, [])
    assert problem == "" and page.manager.get(run_id).wait(60).status is Status.DONE
    assert digits.is_file() and "value" not in told[0]


def test_sizes_and_copies_are_the_owners(page):
    told = page.images.census(OWNER, page.source)
    assert "all 28\u00a0×\u00a028 pixels" in told
    assert "1 file is the same as another" in told
    for who in (KEYLESS, ACCOUNT, replace(KEYLESS, owner="")):
        assert page.images.census(who, page.source) == ""
        assert page.images.describe(who, page.source, FIELDS)[0] == ""
    assert page.images.census(OWNER, {"kind": ""}) == ""


def test_images_removed_while_a_run_is_started_are_gone(page, monkeypatch, home):
    import pe_engine.starting as starting

    open_dataset = starting.open_dataset

    def removed_meanwhile(*given, **named):
        found = open_dataset(*given, **named)
        page.handlers.uploads.remove(OWNER.owner, page.source["token"])
        return found

    monkeypatch.setattr(starting, "open_dataset", removed_meanwhile)
    run_id, *_, problem = page.handlers.start(OWNER, page.source, QUICK, [])
    assert run_id == "" and problem.count("<p") == 1
    assert [*home.glob("runs/*")] == [*home.glob("uploads/*")] == []


def test_the_boxes_of_prompts_are_told_the_classes_of_whoever_owns_the_images(page):
    told = page.images.classes(OWNER, page.source, FIELDS)
    assert told["classes"] == ["0", "1", "2"] and told["guarded"] is False
    renamed = FIELDS | {"class_map": '{"0": "anna"}'}
    told = page.images.classes(OWNER, page.source, renamed)
    assert "anna" in told["classes"] and told["guarded"] is True
    for who in (KEYLESS, ACCOUNT):
        assert page.images.classes(who, page.source, FIELDS)["classes"] == []
    assert page.images.classes(OWNER, {"kind": ""}, FIELDS)["classes"] == []
