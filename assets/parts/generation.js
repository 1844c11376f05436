// The images of one generation, by class, and the slider through all generations.
import { getJson, make, set } from "/parts/dom.js";

const MANY_CLASSES = 6; // from here on in two columns
const MOST_CLASSES = 20; // more are shown on request

export function mount(stage) {
  const { find } = stage;
  const galleries = new Map(); // generation -> {rows, side}
  let drawn = "", allRows = false;

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
    const key = `${view.run_id}/${g}/${allRows}`;
    if (key === drawn) return;
    drawn = key;
    if (!galleries.has(g)) {
      const gallery = await getJson(`/runs/${view.run_id}/gallery/${g}.json`);
      if (drawn !== key) return;
      if (!gallery) return void (drawn = "");
      galleries.set(g, gallery);
    }
    drawRows(view.run_id, g, galleries.get(g));
  }

  function drawRows(run, g, { rows, side }) {
    const shown = allRows ? rows : rows.slice(0, MOST_CLASSES);
    const holder = find(".rows");
    const shape = JSON.stringify(shown.map(({ name, indices }) => [name, indices.length]));
    if (holder.dataset.shape !== shape) {
      holder.dataset.shape = shape;
      holder.replaceChildren(...shown.map(emptyRow));
    }
    holder.dataset.generation = g;
    holder.classList.toggle("pixels", side <= 96);
    holder.classList.toggle("plain", rows.length === 1);
    holder.classList.toggle("many", rows.length >= MANY_CLASSES);
    const images = holder.querySelectorAll("img"); // the old picture stays until the new one is here
    shown.flatMap(({ name, indices }) => indices.map((index) => [name, index])).forEach(([name, index], i) => {
      images[i].alt = `Synthetic image ${index}${name ? `, class ${name}` : ""}, generation ${g}`;
      images[i].src = `/runs/${run}/images/${g}/${index}.png`;
    });
    find(".more-rows").hidden = shown.length === rows.length;
    set(find(".more-rows"), `Show all ${rows.length} classes`);
  }

  function emptyRow({ name, indices }) {
    const row = make("section", "row");
    if (name) row.append(Object.assign(make("h3", "", name), { title: `Class ${name}` }));
    const tiles = make("div", "tiles");
    for (const _ of indices) {
      const button = Object.assign(make("button", "tile"), { type: "button" });
      button.append(Object.assign(new Image(), { alt: "", loading: "lazy", decoding: "async" }));
      tiles.append(button);
    }
    row.append(tiles);
    return row;
  }

  find(".slide input").addEventListener("input", ({ target }) => stage.choose(Number(target.value)));
  find(".follow").addEventListener("click", () => stage.choose(null));
  find(".more-rows").addEventListener("click", () => { allRows = true; stage.refresh(); });

  return {
    show(view, generation) {
      showSlider(view);
      if (generation) showGeneration(view, generation.generation);
    },
    reset() {
      galleries.clear();
      drawn = "";
      find(".rows").replaceChildren();
      find(".rows").dataset.shape = "";
    },
  };
}
