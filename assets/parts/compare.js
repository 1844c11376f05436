// Two generations side by side, with the classes in the same order.
import { make, set } from "/parts/dom.js";
import { makeGallery } from "/parts/gallery.js";

export function mount(stage) {
  const { find } = stage;
  const panel = find(".compare"), toggle = find(".compare-toggle"), order = find(".order select");
  let sides = [];

  function makeSide(name, g) {
    const root = make("div", "compare-side");
    const label = make("label", "", `${name} generation `), select = make("select");
    const holder = make("div", "rows");
    label.append(select);
    root.append(label, make("p", "order-note"), holder);
    select.addEventListener("change", () => stage.refresh());
    return { root, select, gallery: makeGallery(holder), note: root.querySelector("p"), first: g };
  }

  function offer({ select, first }, newest) {
    while (select.options.length <= newest) {
      const g = select.options.length;
      select.append(new Option(g, g, false, g === first));
    }
  }

  async function showSide(view, side) {
    offer(side, stage.newest);
    const g = Number(side.select.value);
    const how = { order: order.value, settled: g < stage.newest, all: true };
    const told = await side.gallery.show(view.run_id, g, how);
    if (told) set(side.note, told.caption);
  }

  const bringHere = () => panel.scrollIntoView({ block: "start" });

  function open(wanted) {
    if (wanted && stage.newest === undefined) return;
    panel.hidden = !wanted;
    toggle.setAttribute("aria-expanded", wanted);
    sides = wanted ? [makeSide("Left", 0), makeSide("Right", stage.newest)] : [];
    find(".compare-sides").replaceChildren(...sides.map(({ root }) => root));
    if (!wanted) return;
    Promise.all(sides.map((side) => showSide(stage.view, side))).then(bringHere);
    bringHere();
    sides[0].select.focus({ preventScroll: true });
  }

  toggle.addEventListener("click", () => open(panel.hidden));
  find(".compare-close").addEventListener("click", () => { open(false); toggle.focus(); });

  return {
    show(view) { for (const side of sides) showSide(view, side); },
    reset() { open(false); },
  };
}
