"""Getting private images in, in a real browser: folders, paths, a network that fails; the summary;
classes renamed, merged and left out."""

import json
import zipfile
from base64 import b64encode

import numpy as np
import pytest
from playwright.sync_api import expect
from test_page import open_page, set_budget, start, wait_for

from tests.conftest import png

pytest_plugins = ["browser_fixtures"]
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 800}}
DROP = """files => {
  const entry = (path, content) => content instanceof Uint8Array
    ? { isFile: true, fullPath: path,
        file: done => done(new File([content], path.split('/').pop())) }
    : { isFile: false, fullPath: path, createReader() {
        const left = Object.entries(content).map(([name, c]) => entry(`${path}/${name}`, c));
        return { readEntries: done => done(left.splice(0, 2)) };  // a few at a time, as browsers do
      } };
  const tree = {};
  for (const [path, bytes] of Object.entries(files)) {
    const parts = path.split('/'), file = parts.pop();
    let here = tree;
    for (const part of parts) here = here[part] ??= {};
    here[file] = Uint8Array.from(atob(bytes), c => c.charCodeAt(0));
  }
  const roots = Object.entries(tree).map(([name, content]) => entry(`/${name}`, content));
  const event = new Event('drop', { bubbles: true, cancelable: true });
  event.dataTransfer = { items: roots.map(root => ({ webkitGetAsEntry: () => root })) };
  document.querySelector('.drop').dispatchEvent(event);
}"""


def picture(seed, side=16):
    return png(np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8))


@pytest.fixture(scope="session")
def nested():
    """A folder of three classes within others, with a copy, a damaged and a useless file."""
    files = {
        f"ward/scans/{c}/2021/{i}.png": picture(10 * ord(c) + i) for c in "ab" for i in range(6)
    }
    files |= {f"ward/scans/misc/{i}.png": picture(900 + i, 24) for i in range(3)}
    files["ward/scans/b/copy.png"] = files["ward/scans/b/2021/0.png"]
    files["ward/scans/b/bad.png"] = b"\x89PNG\r\n\x1a\n but no more"
    files["ward/scans/notes.txt"] = b"not an image"
    return files


def drop(page, files):
    page.evaluate(DROP, {name: b64encode(data).decode() for name, data in files.items()})


@pytest.fixture(params=SIZES.values(), ids=SIZES)
def page(request, tab):
    tab.set_viewport_size(request.param)
    open_page(tab, "text")
    return tab


def test_from_a_dropped_folder_to_classes_of_ones_own(page, nested, app_home):
    drop(page, nested)
    summary = page.locator("#summary")
    found = "17 images in 3 classes, named by their folder."
    expect(summary.locator(".found")).to_have_text(found)
    assert page.locator(".class-row .count").all_inner_texts() == ["6", "8", "3"]
    page.get_by_text("1 file is skipped").click()
    expect(summary).to_contain_text("image: scans/notes.txt")
    census = page.locator("#census")
    expect(census).to_contain_text("16 × 16 to 24 × 24 pixels, median 16 × 16; 2 different")
    expect(census).to_contain_text("1 file is the same as another (scans/b/copy.png). Each")
    expect(census).to_contain_text("16 of 17 files; 1 file is damaged or incomplete")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

    question = page.get_by_label("The class names may be public")
    question.check()
    page.get_by_label("Use class misc").uncheck()
    expect(page.locator(".used")).to_have_text("14 images in 2 classes will be used.")
    expect(question).to_have_count(0)  # names of one letter say nothing
    page.get_by_label("Name of class b").fill("cat")
    page.get_by_label("Name of class a").fill(" cat ")
    page.keyboard.press("Tab")
    expect(page.locator(".used")).to_have_text("14 images in 1 class will be used.")
    expect(page.locator(".class-row.merged")).to_have_count(2)
    page.get_by_label("Name of class a").fill("a dog/owl")
    page.keyboard.press("Tab")
    expect(page.locator("#problem")).to_contain_text("cannot be called 'a dog/owl'")
    page.get_by_label("Name of class a").fill("owl")
    page.keyboard.press("Tab")
    expect(page.locator("#problem p")).to_have_count(0)
    expect(question).not_to_be_checked()  # it was said of other names

    page.get_by_role("button", name="Declare these classes").click()
    expect(summary).to_contain_text("You declared these classes")
    assert summary.locator(".class-row").all_inner_texts() == ["cat\n8", "owl\n6"]
    page.get_by_role("button", name="Do not declare them").click()
    expect(page.get_by_label("Name of class b")).to_have_value("cat")
    expect(page.get_by_label("Use class misc")).not_to_be_checked()

    page.get_by_label("Prompts").fill("owl: W\ncat: M")
    set_budget(page, iterations=1, samples=20)
    page.get_by_label("Name of class b").fill("puma")
    page.get_by_label("Prompts").fill("owl: W\npuma: M")
    run_id = start(page)
    wait_for(page, "done")
    assert page.locator(".rows .row h3").all_inner_texts() == ["owl", "puma"]
    expect(summary).to_be_hidden()
    expect(census).to_be_hidden()
    header = json.loads((app_home / "runs" / run_id / "run.json").read_text())
    renamed = {"misc": "", "b": "puma", "a": "owl"}
    assert json.loads(header["config"])["class_map"] == renamed
    page.reload()
    wait_for(page, "done")
    drop(page, nested)  # the same images for another run: the classes are called the same
    expect(page.get_by_label("Name of class a")).to_have_value("owl")
    expect(page.get_by_label("Use class misc")).not_to_be_checked()
    page.get_by_role("button", name="Remove").click()
    expect(summary).to_be_hidden()
    assert page.locator("#class-map textarea").input_value() == ""


def test_a_folder_on_this_computer_is_opened_where_it_lies(tab, nested, tmp_path):
    for name, data in nested.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    open_page(tab, "text")
    path = tab.get_by_label("Or a folder or zip on this computer")
    for typed, said in [
        (tmp_path / "gone", "There is no such folder or zip"),
        (tmp_path / "ward/scans/notes.txt", "neither a folder nor a zip"),
        (tmp_path / "ward/scans/a/2021/0.png", "This is a single image"),
    ]:
        path.fill(str(typed))
        path.press("Enter")
        expect(tab.locator(".drop-problem")).to_contain_text(said)  # at the field
        expect(path).to_have_attribute("aria-invalid", "true")
        expect(tab.locator(".drop")).to_have_attribute("data-state", "idle")  # and no tick
        expect(tab.get_by_label("Data set name")).to_have_value("")
    path.press("Enter")  # the same once more
    expect(tab.locator(".drop")).to_have_attribute("data-state", "idle")
    path.fill(str(tmp_path / "ward"))
    tab.get_by_role("button", name="Open", exact=True).click()
    expect(tab.locator("#summary .found")).to_contain_text("17 images in 3 classes")
    expect(tab.locator("#problem p")).to_have_count(0)
    expect(tab.get_by_label("Data set name")).to_have_value("ward")
    tab.get_by_label("The class names may be public").check()
    set_budget(tab, iterations=1, samples=30)
    start(tab)
    wait_for(tab, "done")
    assert len(list((tmp_path / "ward").rglob("*.png"))) == 17  # they stay where they are


@pytest.fixture
def lossy(tab):
    """A page that may complain of its network."""
    return tab.context.new_page()


def test_an_upload_that_the_network_loses_goes_on(lossy, nested):
    open_page(lossy, "text")
    cut = {"left": 2}

    def lose(route):
        """Once before the server has it, once after; then for as long as the test says."""
        if cut["left"] == 2:
            route.abort()
        elif cut["left"] == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()
        cut["left"] -= 1

    lossy.route("**/uploads/*/files*", lose)
    drop(lossy, nested)
    expect(lossy.locator("#summary .found")).to_contain_text("17 images")  # by itself
    lossy.get_by_role("button", name="Remove").click()

    lossy.unroute("**/uploads/*/files*")
    lossy.route("**/uploads/*/finish", lambda route: route.abort())
    drop(lossy, nested)
    expect(lossy.locator(".drop-broken")).to_contain_text("The connection to the server broke")
    lossy.unroute("**/uploads/*/finish")
    lossy.get_by_role("button", name="Try again").click()
    expect(lossy.locator("#summary .found")).to_contain_text("17 images")
    lossy.get_by_role("button", name="Remove").click()
    expect(lossy.locator("#summary")).to_be_hidden()


def test_images_dropped_while_a_run_takes_others_stay(lossy, nested, tmp_path):
    open_page(lossy, "text")
    lossy.locator(".files-input").set_input_files(zip_of(nested, tmp_path))
    expect(lossy.locator("#summary .found")).to_contain_text("17 images")
    lossy.get_by_label("The class names may be public").check()
    set_budget(lossy, iterations=1, samples=30)
    lossy.route("**/uploads/*", lambda route: route.abort())  # the server hears of Remove too late
    held = []
    lossy.route("**/queue/join*", lambda route: held.append(route))
    with lossy.expect_request("**/queue/join*"):
        lossy.get_by_role("button", name="Run", exact=True).click()
    lossy.get_by_role("button", name="Remove").click()
    drop(lossy, {name: data for name, data in nested.items() if "/misc/" not in name})
    lossy.unroute("**/queue/join*")
    for route in held:
        route.continue_()
    wait_for(lossy, "done")
    expect(lossy.locator(".drop-ready")).to_contain_text("ward")
    expect(lossy.locator("#summary .found")).to_contain_text("14 images in 2 classes")
    assert lossy.evaluate("document.querySelector('.drop').dataset.state") == "ready"


def zip_of(files, folder):
    with zipfile.ZipFile(folder / "ward.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return folder / "ward.zip"
