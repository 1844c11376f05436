// The images of one generation by class, in a holder: used for the one on screen and to compare two.
import { getJson, make } from "/parts/dom.js";

const MANY_CLASSES = 6; // from here on in two columns
const MOST_CLASSES = 20; // more are shown on request

export function makeGallery(holder) {
  const kept = new Map(); // what was fetched: address -> gallery
  let drawn = "", told = null, run = "";

  // settled: the votes on these images are out, so that their order will not change any more
  async function show(runId, g, { order, settled, all }) {
    const address = `/runs/${runId}/gallery/${g}.json?order=${order}`;
    const key = `${address}/${settled}/${all}`;
    if (key === drawn) return told;
    drawn = key;
    const known = `${address}/${settled}`;
    if (!kept.has(known)) {
      const gallery = await getJson(address);
      if (drawn !== key) return null; // something else is wanted by now
      if (!gallery) return void (drawn = "");
      kept.set(known, gallery);
    }
    run = runId;
    told = { ...kept.get(known), order };
    draw(all);
    return told;
  }

  function draw(all) {
    const { rows, side, generation } = told;
    const shown = all ? rows : rows.slice(0, MOST_CLASSES);
    const shape = JSON.stringify(shown.map(({ name, indices, pages }) => [name, indices.length, pages > 1]));
    if (holder.dataset.shape !== shape) {
      holder.dataset.shape = shape;
      holder.replaceChildren(...shown.map((row, i) => emptyRow(row, i)));
    }
    holder.dataset.generation = generation;
    holder.classList.toggle("pixels", side <= 96);
    holder.classList.toggle("plain", rows.length === 1);
    holder.classList.toggle("many", rows.length >= MANY_CLASSES);
    shown.forEach((row, i) => fillRow(holder.children[i], row));
    told.hidden = rows.length - shown.length;
  }

  function emptyRow({ name, indices, pages }, i) {
    const row = make("section", "row");
    if (name) row.append(Object.assign(make("h3", "", name), { title: `Class ${name}` }));
    const tiles = make("div", "tiles");
    for (const _ of indices) {
      const button = Object.assign(make("button", "tile"), { type: "button" });
      button.append(
        Object.assign(new Image(), { alt: "", loading: "lazy", decoding: "async" }),
        Object.assign(make("span", "tile-votes"), { ariaHidden: "true" }), // the label has them, too
      );
      tiles.append(button);
    }
    row.append(tiles);
    if (pages > 1) {
      const more = Object.assign(make("button", "more-images"), { type: "button" });
      more.addEventListener("click", () => turn(i));
      row.append(more);
    }
    return row;
  }

  function fillRow(node, { name, indices, votes, total, page, pages }) {
    const ofClass = name ? `, class ${name}` : "";
    const tiles = node.querySelectorAll(".tile");
    indices.forEach((index, i) => {
      const count = votes ? `${votes[i]} noisy ${votes[i] === 1 ? "vote" : "votes"}` : "";
      const whose = told.basis === "parents" ? " for its parent" : "";
      const image = tiles[i].querySelector("img"); // the old picture stays until the new one is here
      image.alt = `Synthetic image ${index}${ofClass}, generation ${told.generation}${count && `, ${count}${whose}`}`;
      image.src = `/runs/${run}/images/${told.generation}/${index}.png`;
      tiles[i].title = count && `${count}${whose}`;
      tiles[i].dataset.index = index;
      tiles[i].dataset.generation = told.generation;
      const badge = tiles[i].querySelector(".tile-votes");
      badge.hidden = !count;
      badge.textContent = votes ? votes[i] : "";
    });
    const more = node.querySelector(".more-images");
    if (!more) return;
    const first = indices.length === 0 ? 0 : page * rowSize(pages, total, indices, page) + 1;
    const range = `${first}–${first + indices.length - 1} of ${total.toLocaleString("en")}`;
    more.textContent = name ? "›" : `Images ${range}: show more`;
    more.setAttribute("aria-label", `Images ${range}${ofClass}: show more`);
    more.title = `Images ${range}. Show more`;
  }

  // All pages but the last have the same number of images.
  const rowSize = (pages, total, indices, page) =>
    page < pages - 1 ? indices.length : (total - indices.length) / (pages - 1);

  async function turn(i) {
    const { order, generation, rows } = told;
    const page = (rows[i].page + 1) % rows[i].pages;
    const before = drawn;
    const next = await getJson(`/runs/${run}/gallery/${generation}.json?order=${order}&row=${i}&page=${page}`);
    if (!next || drawn !== before) return;
    told.rows = rows.map((row, j) => (j === i ? next.rows[0] : row));
    const focused = document.activeElement;
    draw(holder.children.length === rows.length);
    if (!focused?.isConnected) holder.children[i]?.querySelector(".more-images")?.focus();
  }

  function clear() {
    kept.clear();
    drawn = "";
    told = null;
    holder.replaceChildren();
    holder.dataset.shape = "";
  }

  return { show, clear };
}
