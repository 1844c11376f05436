// One image, large, with its family: its ancestors back to generation 0, its siblings and children.
// Each of them can be opened in turn; arrow keys step through the gallery.
import { getJson, make, openDialog, set } from "/parts/dom.js";

export function mount(stage) {
  const { root, find } = stage;
  const zoom = find(".zoom"), descent = find(".descent");
  let shown = "", tiles = [];

  const source = (g, i) => `/runs/${stage.view.run_id}/images/${g}/${i}.png`;

  function open(g, i, told = "") {
    const large = zoom.querySelector("img");
    large.src = source(g, i);
    large.alt = told || `Synthetic image ${i}, generation ${g}`;
    set(zoom.querySelector("p"), large.alt);
    find(".save-family").href = `/runs/${stage.view.run_id}/family/${g}/${i}.png`;
    find(".save-family").download = `family-${g}-${i}.png`;
    openDialog(zoom);
    showFamily(g, i, !told);
  }

  async function showFamily(g, i, walked) {
    const address = `/runs/${stage.view.run_id}/family/${g}/${i}.json`;
    shown = address;
    const family = await getJson(address);
    if (!family || shown !== address || !zoom.open) return;
    if (walked) caption(family);
    fill(descent, [...family.ancestors, [g, i]], `${g}/${i}`);
    list(find(".siblings"), family.siblings, `Siblings in generation ${g}`, family.siblings_in_all);
    list(find(".children"), family.children, `Children in generation ${g + 1}`, family.children_in_all);
    descent.lastChild.scrollIntoView({ block: "nearest", inline: "end" });
    if (!zoom.contains(document.activeElement) || document.activeElement === zoom)
      descent.lastChild.focus({ preventScroll: true });
  }

  function caption(family) {
    const parts = [`Synthetic image ${family.index}`];
    if (family.class) parts.push(`class ${family.class}`);
    parts.push(`generation ${family.generation}`);
    if (family.votes !== null)
      parts.push(`${family.votes} noisy ${family.votes === 1 ? "vote" : "votes"}${family.basis === "parents" ? " for its parent" : ""}`);
    zoom.querySelector("img").alt = parts.join(", ");
    set(zoom.querySelector("p"), parts.join(", "));
  }

  function list(holder, members, title, inAll) {
    const head = holder.previousElementSibling;
    head.hidden = holder.hidden = !members.length;
    set(head, inAll > members.length ? `${title}: ${members.length} of ${inAll}` : `${title}: ${inAll}`);
    fill(holder, members);
  }

  function fill(holder, members, current = "") {
    holder.replaceChildren(...members.map(([g, i]) => {
      const button = Object.assign(make("button", "relative"), { type: "button" });
      if (`${g}/${i}` === current) button.setAttribute("aria-current", "true");
      const image = Object.assign(new Image(), { alt: `Image ${i} of generation ${g}`, src: source(g, i), loading: "lazy" });
      button.append(image);
      if (holder === descent) button.append(Object.assign(make("span", "", g), { ariaHidden: "true" }));
      button.addEventListener("click", () => open(g, i));
      return button;
    }));
  }

  function openTile(tile) {
    open(Number(tile.dataset.generation), Number(tile.dataset.index), tile.querySelector("img").alt);
  }

  function step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !tiles.length) return;
    event.preventDefault();
    const now = new URL(zoom.querySelector("img").src).pathname;
    const at = tiles.findIndex(({ dataset }) => source(dataset.generation, dataset.index) === now);
    openTile(tiles[(Math.max(at, by > 0 ? -1 : 0) + by + tiles.length) % tiles.length]);
  }

  root.addEventListener("click", ({ target }) => {
    const tile = target.closest(".tile");
    if (!tile) return;
    const rows = tile.closest(".rows");
    tiles = [...rows.querySelectorAll(".tile")];
    zoom.classList.toggle("pixels", rows.classList.contains("pixels"));
    openTile(tile);
  });
  find(".zoom-close").addEventListener("click", () => zoom.close());
  zoom.addEventListener("keydown", step);
  return { reset() { shown = ""; zoom.close(); } };
}
