// The images of one generation, by class, and the slider through all generations.
import { set } from "/parts/dom.js";
import { makeGallery } from "/parts/gallery.js";

export function mount(stage) {
  const { find } = stage;
  const gallery = makeGallery(find(".generation .rows"));
  const order = find(".order select");
  let allRows = false;

  function showSlider(view) {
    const newest = stage.newest, shown = stage.shown;
    find(".generation").dataset.ready = newest !== undefined;
    if (newest === undefined) return;
    const slider = find(".slide input");
    slider.max = newest;
    slider.value = shown;
    slider.disabled = newest === 0;
    slider.style.setProperty("--at", newest ? shown / newest : 1);
    slider.setAttribute("aria-valuetext", `Generation ${shown} of ${view.iterations}`);
    find(".follow").hidden = !stage.pinned;
  }

  async function showGeneration(view, g) {
    set(find(".generation h2"), `Generation ${g} of ${view.iterations}`);
    const how = { order: order.value, settled: g < stage.newest, all: allRows };
    const told = await gallery.show(view.run_id, g, how);
    if (!told) return;
    set(find(".order-note"), told.caption);
    find(".more-rows").hidden = !told.hidden;
    set(find(".more-rows"), `Show all ${told.rows.length} classes`);
  }

  find(".slide input").addEventListener("input", ({ target }) => stage.choose(Number(target.value)));
  find(".follow").addEventListener("click", () => stage.choose(null));
  find(".more-rows").addEventListener("click", () => { allRows = true; stage.refresh(); });
  order.addEventListener("change", () => stage.refresh());

  return {
    show(view, generation) {
      showSlider(view);
      if (generation) showGeneration(view, generation.generation);
    },
    reset() {
      gallery.clear();
      set(find(".order-note"), "");
    },
  };
}
