// How many images of each generation effectively became parents, as a curve and as a table.
import { getJson, make, set } from "/parts/dom.js";

const WIDTH = 660, HEIGHT = 150, EDGE = 12, FOOT = 22; // units of the drawing

function draw(tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

export function mount({ find }) {
  const figure = find(".curve"), svg = figure.querySelector("svg");
  let drawn = "";

  function show(points) {
    const last = points.at(-1).generation, most = Math.max(...points.map(({ of }) => of));
    const x = (g) => (last === 1 ? WIDTH / 2 : EDGE + ((g - 1) / (last - 1)) * (WIDTH - 2 * EDGE));
    const y = (n) => EDGE + (1 - n / most) * (HEIGHT - EDGE - FOOT);
    const path = (of) => points.map((p) => `${x(p.generation)},${y(of(p))}`).join(" ");
    const every = Math.ceil(points.length / 12);
    svg.replaceChildren(
      draw("polyline", { class: "curve-all", points: path((p) => p.of) }),
      draw("polyline", { class: "curve-line", points: path((p) => p.effective) }),
      ...points.map((p) => draw("circle", { class: p.few ? "curve-few" : "curve-dot", cx: x(p.generation), cy: y(p.effective), r: 4 })),
      ...points.filter((p, i) => i % every === 0).map((p) =>
        draw("text", { x: x(p.generation), y: HEIGHT - 4, "text-anchor": "middle" }, p.generation)),
    );
    const end = points.at(-1), high = end.effective > most / 2;
    svg.append(
      draw("text", { x: WIDTH - EDGE, y: y(most) + 16, "text-anchor": "end" }, `all ${most.toLocaleString("en")} images`),
      draw("text", { class: "curve-value", x: WIDTH - EDGE, y: y(end.effective) + (high ? 34 : -10), "text-anchor": "end" },
        end.effective.toLocaleString("en")),
    );
    svg.setAttribute("aria-label", `Effective number of parents, ${points.length} generations: `
      + `from ${points[0].effective} to ${points.at(-1).effective} of ${points.at(-1).of} images`);
    const cells = ({ generation, effective, of }) => [generation, effective, of].map((n) => make("td", "", n.toLocaleString("en")));
    figure.querySelector("tbody").replaceChildren(...points.map((point) => {
      const row = make("tr", point.few ? "few" : "");
      row.append(...cells(point));
      return row;
    }));
  }

  return {
    async show(view) {
      const key = `${view.run_id}/${view.generations.length}`;
      if (key === drawn || view.generations.length < 2) return;
      drawn = key;
      const told = await getJson(`/runs/${view.run_id}/curves.json`);
      if (drawn !== key) return;
      if (!told) return void (drawn = "");
      figure.hidden = !told.parents.length;
      if (figure.hidden) return;
      set(figure.querySelector("figcaption p"), told.said);
      show(told.parents);
    },
    reset() {
      drawn = "";
      figure.hidden = true;
    },
  };
}
