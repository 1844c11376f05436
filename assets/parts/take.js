// Taking a run out: a zip as chosen, a folder of this computer, the report as PDF, the evolution as
// a moving picture, the Hub. Nothing is asked of the server before the dialog is opened.
import { getJson, make, openDialog, send, set } from "/parts/dom.js";
import { mountHub } from "/parts/take_hub.js";

const SIZES = [64, 128, 256, 512, 1024];

export function mount(stage) {
  const { find } = stage;
  const dialog = find("dialog.take");
  const part = (name) => dialog.querySelector(`.take-${name}`);
  let run = "", side = 0;

  const address = (path) => `/runs/${run}/${path}`;

  function choice() {
    const size = Number(part("size").value) || null;
    return {
      generation: Number(part("generation").value),
      format: part("format").value,
      quality: Math.min(Math.max(Math.round(Number(part("quality").value)) || 90, 1), 100),
      layout: part("layout").value,
      ...(size && { size }),
    };
  }

  const hub = mountHub(part("hub"), { address, choice });

  function showChoice() {
    part("quality-field").hidden = part("format").value === "png";
    part("zip").href = address(`download.zip?${new URLSearchParams(choice())}`);
  }

  function option(value, text) {
    return Object.assign(make("option", "", text), { value });
  }

  function showGenerations(view) {
    const chosen = stage.shown;
    const options = view.generations.map(({ generation: g }) =>
      option(g, g === stage.newest ? `${g}, the newest` : String(g)));
    part("generation").replaceChildren(...options.reverse());
    part("generation").value = chosen;
  }

  function showSizes() {
    const options = SIZES.filter((size) => size !== side).map((size) => option(size, `${size} pixels`));
    part("size").replaceChildren(option("", `As made, ${side} pixels`), ...options);
  }

  async function open() {
    const { view } = stage;
    run = view.run_id;
    const told = await getJson(address("takeout.json"), { cache: "no-store" });
    if (!told || run !== stage.view?.run_id) return;
    side = told.side;
    showGenerations(view);
    showSizes();
    showChoice();
    part("save").hidden = told.folder === null;
    part("folder").value ||= told.folder ?? "";
    tellSaved("");
    part("pdf").href = address("report.pdf");
    for (const kind of ["gif", "webp"]) part(kind).href = address(`evolution.${kind}`);
    part("evolution").hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!part("evolution").hidden) part("evolution").src = address(`evolution.webp?${stage.newest}`);
    hub.open();
    openDialog(dialog);
  }

  function tellSaved(text, wrong = false) {
    part("saved").classList.toggle("wrong", wrong);
    set(part("saved"), text);
  }

  async function save(event) {
    event.preventDefault();
    const button = part("line").querySelector("button");
    button.disabled = true;
    tellSaved("Saving");
    try {
      const body = { ...choice(), folder: part("folder").value };
      tellSaved(`Saved in ${(await send("POST", address("save"), body)).path}`);
    } catch (error) {
      tellSaved(error.message, true);
    } finally {
      button.disabled = false;
    }
  }

  find(".take-out").addEventListener("click", open);
  part("close").addEventListener("click", () => dialog.close());
  part("line").addEventListener("submit", save);
  for (const name of ["generation", "format", "quality", "size", "layout"])
    part(name).addEventListener("input", showChoice);

  return {
    show(view) { find(".take-out").hidden = !view.generations.length; },
    reset() {
      dialog.close();
      hub.close();
      part("evolution").removeAttribute("src");
    },
  };
}
