"""Images of one person on the page: how many persons, for whom ε is, what was declared."""

import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from loops import awaited
from playwright.sync_api import expect
from test_settings import FIELDS

from pe_engine.jobs import JobManager
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Status
from pe_engine.ui.handlers import Handlers
from pe_engine.ui.house import LOCAL
from pe_engine.ui.local_visitors import machines_owner
from pe_engine.ui.uploads import Uploads
from tests.conftest import png

pytest_plugins = ["browser_fixtures"]
ME = machines_owner()
PERSONS = FIELDS | {"classes": "folder", "persons": "folder", "person_votes": "2"}
QUICK = PERSONS | {"iterations": "1", "num_samples": "12", "lookahead": "0", "epsilon": "5"}
NAMES = ["cat/anna/1.png", "cat/anna/2.png", "dog/anna/3.png", "dog/ben/1.png", "fox/cy/1.png"]


@pytest.fixture
def ward(tmp_path):
    path = tmp_path / "ward.zip"
    picture = png(np.zeros((16, 16, 3), np.uint8))
    with zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            archive.writestr(name, picture + name.encode())
    return path


@pytest.fixture
def page(home, ward):
    """The handlers, and the images in their drop zone."""
    manager = JobManager(home)
    handlers = Handlers(Uploads(home), manager, LOCAL)
    token = handlers.uploads.begin(ME.owner)
    handlers.uploads.add_zip_piece(ME.owner, token, 0, ward.read_bytes())
    handlers.uploads.finish(ME.owner, token)
    source = {"kind": "upload", "token": token, "name": "ward"}
    yield SimpleNamespace(handlers=handlers, source=source, manager=manager)
    manager.close()


def test_the_summary_says_how_many_persons_there_are(page):
    summary, *_, problem = page.handlers.images.describe(ME, page.source, PERSONS)
    assert problem == ""
    assert "5 images of 3 persons (&#x27;anna&#x27; is one, with 3 of them) in 3" in summary
    assert "They were found in the images" in summary
    declared = PERSONS | {"class_names": "dog, cat, owl"}
    summary, *_ = page.handlers.images.describe(ME, page.source, declared)
    assert "4 images of 2 persons (" in summary
    assert "belongs to none of the declared classes" in summary
    assert "They were found in the images" not in summary
    alone = page.handlers.images.describe(ME, page.source, FIELDS)[0]
    assert "person" not in alone


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"persons": "prefix", "classes": "auto"}, "rule for classes"),
        ({"persons": "none", "classes": "auto", "class_names": "cat"}, "Classes are declared"),
        ({"class_names": "mouse"}, "None of the 5 images belongs"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(page, said, words):
    assert words in page.handlers.images.describe(ME, page.source, PERSONS | said)[-1]


def test_the_budget_is_for_each_person(page):
    assert "for each person" in awaited(page.handlers.budget(ME, PERSONS | {"estimate": ""}))[0]
    alone = FIELDS | {"person_votes": "2"}
    assert (
        "nothing names the persons"
        in awaited(page.handlers.budget(ME, alone | {"estimate": ""}))[0]
    )


def test_a_run_of_the_page_protects_persons(page, home):
    fields = QUICK | {"class_names": "cat, dog", "public_class_names": True}
    run_id, *_, problem = page.handlers.start(ME, page.source, fields, [])
    assert problem == ""
    assert page.manager.get(run_id).wait(60).status is Status.DONE
    (charge,) = Ledger(home).spent("ward")
    assert (charge.neighbours, charge.generations, charge.unit) == (2, 1, "person")


def test_in_a_browser(tab, ward):
    tab.goto("/")
    expect(tab.locator("#meaning")).to_contain_text("for each image")
    tab.locator(".files-input").set_input_files(ward)
    expect(tab.locator("#summary")).to_contain_text("5 images")
    tab.locator("#advanced").get_by_role("button", name="Advanced").click()
    by_folder = tab.get_by_role("option", name="folder", exact=True)
    for label in ("Class of an image", "Images of one person"):
        tab.get_by_label(label).click()
        by_folder.click()
        expect(by_folder).to_have_count(0)
    expect(tab.locator("#summary")).to_contain_text("with 3 of them) in 3 classes")
    expect(tab.locator("#meaning")).to_contain_text("for each person")
    classes = tab.get_by_role("textbox", name=re.compile("^Classes "))
    classes.fill("cat, dog")
    classes.blur()
    expect(tab.locator("#summary")).to_contain_text("of them) in 2 classes")
