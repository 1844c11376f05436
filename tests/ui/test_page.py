"""The page in a real browser: from images to the zip, through reloads, stops and mistakes."""

import hashlib
import json
import re
import zipfile

import pytest
from playwright.sync_api import expect

from pe_engine.presets import PRESETS

pytest_plugins = ["browser_fixtures"]
RUN_ID = re.compile(r"\?run=([0-9a-f]{32})$")


def open_page(tab, preset="text"):
    """A new visitor's page with the settings of a preset, whatever the first one is."""
    tab.goto("/")
    expect(tab.locator("#meaning")).to_contain_text("σ =")
    choose(tab, preset)


def choose(tab, preset):
    wanted, chip = PRESETS[preset], tab.locator(f'[name="preset"][value="{preset}"]')
    if not chip.is_checked():
        chip.check()
    samples = ", ".join(map(str, wanted.settings["num_samples"]))
    expect(tab.locator("#field-num-samples input")).to_have_value(samples)
    card = tab.locator(f'[name="generator"][value="{wanted.settings["generator"]}"]')
    expect(card).to_be_checked()


def model_field(tab):
    return tab.get_by_role("textbox", name=re.compile("^Model "))  # not the one for variations


def set_budget(tab, iterations=3, samples=100, epsilon=None):
    tab.get_by_label("Iterations").fill(str(iterations))
    tab.get_by_label("Samples").fill(str(samples))
    if epsilon is not None:
        tab.get_by_label("ε (epsilon)").fill(str(epsilon))


def try_example(tab):
    tab.get_by_role("button", name="Try the handwriting example").click()
    expect(tab.locator("#summary")).to_contain_text("5,000 images in 10 classes")


def start(tab):
    tab.get_by_role("button", name="Run", exact=True).click()
    expect(tab).to_have_url(RUN_ID, timeout=20_000)
    expect(tab.locator("#problem p")).to_have_count(0)
    return RUN_ID.search(tab.url)[1]


def wait_for(tab, status):
    tab.wait_for_selector(f'.live[data-status="{status}"]')


def loaded(tab, selector):
    """Wait until every picture at ``selector`` that is on screen has arrived whole."""
    tab.wait_for_function(
        """selector => {
          const images = [...document.querySelectorAll(selector)];
          return images.length && images.every(i => i.complete && i.naturalWidth > 0);
        }""",
        arg=selector,
    )


def show_generation(tab, generation):
    slider = tab.get_by_label("Generation shown")
    slider.focus()
    slider.fill(str(generation))
    tab.wait_for_selector(f'.rows[data-generation="{generation}"]')


# preset, prompts, iterations and samples: enough work for a reload in its midst
WHOLE_PATHS = {
    "text": ("text", "", 3, 6000),
    "miniature": ("handwriting", "a handwritten digit three\na thin serif capital r", 2, 100),
}


@pytest.mark.parametrize(
    ("preset", "prompts", "iterations", "samples"), WHOLE_PATHS.values(), ids=WHOLE_PATHS
)
def test_from_the_example_to_a_checked_zip(tab, tmp_path, preset, prompts, iterations, samples):
    open_page(tab, preset)
    try_example(tab)
    expect(tab.get_by_label("Data set name")).to_have_value("handwriting")
    tab.get_by_label("Prompts").fill(prompts)
    set_budget(tab, iterations, samples)
    run_id = start(tab)

    tab.wait_for_selector(".tile img")
    tab.reload()
    wait_for(tab, "running")
    tab.wait_for_selector(".tile img")
    assert RUN_ID.search(tab.url)[1] == run_id
    expect(tab.get_by_label("Samples")).to_have_value(str(samples))
    expect(tab.get_by_label("Prompts")).to_have_value(prompts)
    expect(tab.locator('[name="preset"]:checked')).to_have_count(0)
    expect(tab.locator(".preset-said")).to_contain_text("what this run was given")
    expect(tab.get_by_label("Data set name")).to_have_value("handwriting")
    tab.wait_for_selector('.live[data-status="done"]', timeout=300_000)
    expect(tab.locator(".line")).to_contain_text(f"Done: {iterations} generations")
    expect(tab.locator(".spent-text")).to_contain_text("ε spent 1.00 of 1")

    for generation in range(iterations + 1):
        show_generation(tab, generation)
        expect(tab.locator(".tile")).to_have_count(70)
        loaded(tab, ".tile img")
        if generation == 0:
            expect(tab.locator(".votes")).to_be_hidden()
        else:
            picture = tab.get_by_alt_text(f"the noisy votes that chose generation {generation}:")
            expect(picture).to_be_visible()
            loaded(tab, ".votes img")

    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download zip").click()
    path = tmp_path / "synthetic.zip"
    download.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        hashes = manifest["files"]
        assert set(hashes) == set(archive.namelist()) - {"manifest.json"}
        for name, entry in hashes.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == entry["sha256"], name
        assert len([n for n in archive.namelist() if n.endswith(".png")]) == samples


def test_a_preset_fills_in_the_fields_and_leaves_the_data_set(tab):
    open_page(tab)
    try_example(tab)
    tab.get_by_text("Advanced").click()
    choose(tab, "cats")
    expect(tab.get_by_label("Prompts")).to_have_value("A photo of ragdoll cat")
    expect(tab.get_by_label("Data set name")).to_have_value("handwriting")
    expect(tab.get_by_label("Iterations")).to_have_value("17")
    expect(tab.locator("#meaning")).to_contain_text("σ = 2 votes of noise")
    expect(model_field(tab)).to_have_value("CompVis/stable-diffusion-v1-4")
    expect(tab.get_by_label("Fonts", exact=True)).to_be_hidden()
    choose(tab, "handwriting")
    expect(tab.get_by_label("Prompts")).to_have_value("")
    expect(model_field(tab)).to_have_value("")
    choose(tab, "text")
    expect(model_field(tab)).to_be_hidden()
    expect(tab.get_by_label("Fonts", exact=True)).to_be_visible()


def test_a_model_that_is_not_there_is_a_sentence(tab, tmp_path):
    open_page(tab, "handwriting")
    try_example(tab)
    tab.get_by_text("Advanced").click()
    model_field(tab).fill(str(tmp_path))
    tab.get_by_role("button", name="Run", exact=True).click()
    expect(tab.locator("#problem")).to_contain_text("holds no diffusers model")
    expect(model_field(tab)).to_have_value(str(tmp_path))
    expect(tab.locator(".live")).to_have_attribute("data-status", "none")


def test_a_folder_keeps_its_classes_and_is_deleted_once_read(tab, folder, app_home):
    open_page(tab)
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)
    expect(tab.locator("#summary")).to_contain_text("2 classes")
    expect(tab.get_by_label("Data set name")).to_have_value("ward")
    assert {p.name for p in app_home.glob("uploads/*/*")} == {"owner.json", "upload.zip"}
    set_budget(tab, iterations=1, samples=40, epsilon=5)
    start(tab)
    wait_for(tab, "done")
    expect(tab.locator(".rows .row h3")).to_have_text(["3", "7"])
    assert list(app_home.glob("uploads/*/*")) == []
    expect(tab.locator(".drop-problem")).to_contain_text("drop them again")
    expect(tab.locator("#summary")).to_be_hidden()
    # Nothing of it is where Gradio would serve it, and no name of it is anywhere in the home.
    assert [p for p in app_home.glob("gradio/**/*") if p.is_file()] == []
    assert not any("secret-note" in p.name for p in app_home.rglob("*"))


def test_a_dropped_folder_is_walked(tab):
    open_page(tab)
    tab.evaluate(
        """() => {
          const bytes = Uint8Array.from(atob(
            'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='
          ), c => c.charCodeAt(0));
          const file = path => ({ isFile: true, fullPath: path,
            file: done => done(new File([bytes], path.split('/').pop())) });
          const folder = (path, children) => ({ isFile: false, fullPath: path, createReader() {
            const left = [...children];  // a few at a time, as browsers do
            return { readEntries: done => done(left.splice(0, 2)) };
          } });
          const names = n => [...Array(n).keys()].map(i => `${i}.png`);
          const root = folder('/mine', ['a', 'b'].map(c => folder(`/mine/${c}`,
            names(5).map(n => file(`/mine/${c}/${n}`)))));
          const event = new Event('drop', { bubbles: true, cancelable: true });
          event.dataTransfer = { items: [{ webkitGetAsEntry: () => root }] };
          document.querySelector('.drop').dispatchEvent(event);
        }"""
    )
    expect(tab.locator("#summary")).to_contain_text("10 images in 2 classes")
    expect(tab.get_by_label("Data set name")).to_have_value("mine")
    tab.get_by_role("button", name="Remove").click()
    expect(tab.locator("#summary")).to_be_hidden()


def test_stop_resume_and_a_second_tab(tab):
    open_page(tab)
    try_example(tab)
    set_budget(tab, iterations=100, samples=400)
    run_id = start(tab)
    tab.get_by_role("button", name="Pause").click()
    wait_for(tab, "stopped")
    other = tab.context.new_page()
    other.goto(f"/?run={run_id}")
    wait_for(other, "stopped")
    expect(tab.get_by_role("link", name="Download zip")).to_be_hidden()
    answer = tab.request.get(f"/runs/{run_id}/synthetic.zip")
    assert answer.status == 404

    other.get_by_role("button", name="Resume").click()
    for either in (tab, other):
        wait_for(either, "running")
        either.wait_for_selector(".tile img")
    other.get_by_role("button", name="Pause").click()
    wait_for(tab, "stopped")
    other.close()

    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("button", name="Delete the run").click()
    wait_for(tab, "none")
    expect(tab.locator(".intro")).to_be_visible()
    assert tab.request.get(f"/runs/{run_id}/gallery/0.json").status == 404


def test_a_run_that_kept_no_features_resumes_with_the_images_dropped_again(tab, folder, app_home):
    open_page(tab)
    tab.locator(".folder-input").set_input_files(folder)
    expect(tab.locator("#summary")).to_contain_text("2 classes")
    set_budget(tab, iterations=100, samples=400, epsilon=5)
    start(tab)
    expect(tab.locator(".images-note")).to_contain_text("If you pause this run")
    tab.wait_for_selector(".slide input:enabled")
    tab.get_by_role("button", name="Pause").click()
    wait_for(tab, "stopped")
    tab.get_by_role("button", name="Resume").click()
    expect(tab.locator("#problem")).to_contain_text("Drop the same images again")
    expect(tab.locator(".images-note")).to_contain_text("then press Resume")
    wait_for(tab, "stopped")
    made = int(tab.locator(".rows").get_attribute("data-generation"))

    tab.locator(".folder-input").set_input_files(folder)
    expect(tab.locator("#summary")).to_contain_text("2 classes")
    tab.get_by_role("button", name="Resume").click()
    wait_for(tab, "running")
    expect(tab.locator(".drop-problem")).to_contain_text("The run took these images")
    tab.wait_for_function(
        "made => document.querySelector('.rows').dataset.generation > made", arg=made
    )
    assert list(app_home.glob("uploads/*")) == []
    tab.get_by_role("button", name="Pause").click()
    wait_for(tab, "stopped")


def test_the_end_of_a_run_is_told_to_a_visitor_who_looks_elsewhere(tab):
    tab.add_init_script(
        """window.told = [];
        window.Notification = class {
          static permission = 'default';
          static requestPermission() { this.permission = 'granted'; }
          constructor(title, { body }) { told.push(body); }
        };"""
    )
    open_page(tab)
    try_example(tab)
    assert tab.evaluate("Notification.permission") == "default"
    set_budget(tab, iterations=1, samples=30)
    start(tab)
    assert tab.evaluate("Notification.permission") == "granted"
    tab.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    wait_for(tab, "done")
    told = tab.evaluate("told")
    assert len(told) == 1 and told[0].startswith("Done: 1 generation in")


def test_the_slider_stays_where_it_was_put(tab):
    open_page(tab)
    try_example(tab)
    set_budget(tab, iterations=3, samples=200)
    start(tab)
    tab.wait_for_selector(".slide input:enabled")
    show_generation(tab, 0)
    wait_for(tab, "done")
    assert tab.locator(".rows").get_attribute("data-generation") == "0"
    expect(tab.get_by_label("Generation shown")).to_have_value("0")
    tab.get_by_role("button", name="Follow the newest").click()
    tab.wait_for_selector('.rows[data-generation="3"]')


def test_an_image_opens_large_and_escape_closes_it(tab):
    open_page(tab)
    try_example(tab)
    set_budget(tab, iterations=1, samples=100)
    start(tab)
    wait_for(tab, "done")
    tab.get_by_alt_text("class 3, generation 1").first.click()
    expect(tab.locator(".zoom")).to_contain_text("class 3, generation 1")
    first = tab.locator(".zoom p").inner_text()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".zoom p")).not_to_have_text(first)
    tab.keyboard.press("Escape")
    expect(tab.locator(".zoom")).to_be_hidden()


def test_a_mistake_is_a_sentence_and_keeps_the_settings(tab):
    open_page(tab)
    tab.keyboard.press("Control+Enter")
    expect(tab.locator("#problem")).to_contain_text("There are no private images yet")
    try_example(tab)
    set_budget(tab, epsilon=-1, samples=321)
    expect(tab.locator("#meaning")).to_contain_text("must lie from 0.01 to 100")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator("#problem")).to_contain_text("The ε (epsilon) is -1, but")
    field = tab.get_by_label("ε (epsilon)")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(tab.locator("#field-epsilon .field-problem")).to_contain_text("must lie from")
    expect(tab.get_by_label("Samples")).to_have_value("321")
    expect(tab.locator("#summary")).to_contain_text("5,000 images")
    expect(tab.locator(".live")).to_have_attribute("data-status", "none")
    tab.get_by_label("ε (epsilon)").fill("often")
    expect(tab.locator("#meaning")).to_contain_text("which is not a number")


def test_run_says_that_it_starts_and_starts_once(tab):
    open_page(tab)
    tab.keyboard.press("Control+Enter")
    expect(tab.locator("#problem")).to_contain_text("There are no private images yet")
    try_example(tab)
    set_budget(tab, iterations=1, samples=30)
    held, count = [], lambda: tab.request.get("/runs?most=0").json()["total"]
    before = count()
    tab.route("**/gradio_api/queue/join*", lambda route: held.append(route))
    button = tab.locator("#run-button")
    button.click()
    expect(button).to_have_text("Starting…")
    expect(tab.locator("#problem")).to_be_hidden()
    button.click()
    tab.keyboard.press("Control+Enter")
    for route in held:
        route.continue_()
    tab.unroute("**/gradio_api/queue/join*")
    expect(tab).to_have_url(RUN_ID)
    expect(button).to_have_text("Run")
    wait_for(tab, "done")
    assert count() == before + 1


def test_an_address_without_a_run_says_so(tab):
    tab.goto(f"/?run={'0' * 32}")
    wait_for(tab, "missing")
    expect(tab.locator(".missing")).to_contain_text("no such run")
    tab.get_by_role("button", name="Start a new run").click()
    expect(tab.locator(".intro")).to_be_visible()
    assert "run=" not in tab.url


def test_class_names_that_are_words_need_a_word_of_the_owner(tab, folder):
    (folder / "3").rename(folder / "anna")
    open_page(tab)
    expect(tab.get_by_label("The class names may be public")).to_be_hidden()
    tab.locator(".folder-input").set_input_files(folder)
    question = tab.get_by_label("The class names may be public")
    expect(question).to_be_visible()
    set_budget(tab, iterations=1, samples=40)
    tab.get_by_role("button", name="Run", exact=True).click()
    expect(tab.locator("#problem")).to_contain_text("class names")
    question.check()
    tab.get_by_role("button", name="Remove").click()
    expect(question).to_be_hidden()
    tab.locator(".folder-input").set_input_files(folder)
    expect(question).not_to_be_checked()  # other images may have other names
    question.check()
    start(tab)
    wait_for(tab, "done")
    tab.reload()
    wait_for(tab, "done")
    expect(tab.get_by_label("Data set name")).to_have_value("ward")
    tab.locator(".folder-input").set_input_files(folder)
    expect(question).not_to_be_checked()
    expect(tab.locator(".rows .row h3")).to_have_text(["7", "anna"])
