// The running page: shows the newest view of one run (its words come from ui/live.py) and asks the
// handlers to attach, stop, resume or delete. Runs as the js_on_load of a gr.HTML whose value is
// the view; the address (?run=) says which run this tab wants, and views of others are ignored.
const MANY_CLASSES = 6; // from here on in two columns
const MOST_CLASSES = 20; // more are shown on request
const root = element.querySelector(".live");
const find = (selector) => root.querySelector(selector);
const set = (selector, text) => { find(selector).textContent = text; };
const galleries = new Map(); // generation -> {rows, side}
let view = null, pinned = null, drawn = "", allRows = false, heard = Date.now();

const wanted = () => new URLSearchParams(location.search).get("run") || "";
const isLive = () => view && ["queued", "running", "stopping"].includes(view.status);
const isDark = () => document.body.classList.contains("dark");

function setAddress(runId) {
  const url = new URL(location.href);
  if (runId) url.searchParams.set("run", runId);
  else url.searchParams.delete("run");
  history.replaceState(history.state, "", url);
}

function fill(bar, share) {
  bar.querySelector("i").style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
}

function showStatus() {
  set(".line", view.line);
  set(".detail", view.detail);
  set(".run-error", view.error);
  const bar = find(".status > .bar");
  const known = view.fraction !== null;
  bar.classList.toggle("unknown", !known);
  if (known) fill(bar, view.fraction);
  if (known) bar.setAttribute("aria-valuenow", Math.round(100 * view.fraction));
  else bar.removeAttribute("aria-valuenow");
  const notices = find(".notices");
  notices.hidden = !view.notices.length;
  notices.querySelector("summary").textContent =
    view.notices.length === 1 ? "1 note" : `${view.notices.length} notes`;
  if (notices.querySelectorAll("li").length !== view.notices.length)
    notices.querySelector("ul").replaceChildren(...view.notices.map((text) => make("li", "", text)));
  const spent = view.spent;
  set(".spent-text", `ε spent ${spent.toFixed(2)} of ${view.epsilon} · δ = ${view.delta}`);
  const meter = find(".meter");
  fill(meter, spent / view.epsilon);
  meter.setAttribute("aria-valuemax", view.epsilon);
  meter.setAttribute("aria-valuenow", spent);
  find(".get-zip").href = `/runs/${view.run_id}/synthetic.zip`;
  find(".get-zip").hidden = !view.zip;
  find(".get-report").href = `/runs/${view.run_id}/report.html`;
  find(".get-report").hidden = !view.report;
}

function make(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function showSlider() {
  const newest = view.generations.at(-1)?.generation;
  find(".generation").dataset.ready = newest !== undefined;
  if (newest === undefined) return;
  const slider = find(".slide input");
  slider.max = newest;
  if (pinned !== null && pinned >= newest) pinned = null;
  const shown = pinned ?? newest;
  slider.value = shown;
  slider.disabled = newest === 0;
  slider.style.setProperty("--at", newest ? shown / newest : 1);
  slider.setAttribute("aria-valuetext", `Generation ${shown} of ${view.iterations}`);
  find(".follow").hidden = pinned === null;
  showGeneration(view.generations.find((g) => g.generation === shown));
}

async function showGeneration(generation) {
  const g = generation.generation;
  const key = `${view.run_id}/${g}/${allRows}`;
  set(".generation h2", `Generation ${g} of ${view.iterations}`);
  showVotes(generation);
  if (key === drawn) return;
  drawn = key;
  const run = view.run_id;
  if (!galleries.has(g)) {
    const answer = await fetch(`/runs/${run}/gallery/${g}.json`).catch(() => null);
    if (!answer?.ok) return void (drawn = "");
    galleries.set(g, await answer.json());
  }
  if (drawn === key) drawRows(run, g, galleries.get(g));
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
  set(".more-rows", `Show all ${rows.length} classes`);
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

function showVotes(generation) {
  const figure = find(".votes");
  figure.hidden = !generation.votes;
  if (!generation.votes) return;
  const g = generation.generation;
  const source = `/runs/${view.run_id}/votes/${g}.png?theme=${isDark() ? "dark" : "light"}`;
  const image = figure.querySelector("img");
  if (image.getAttribute("src") !== source) image.src = source;
  const facts = `σ = ${view.sigma} votes, threshold ${generation.threshold} votes`;
  image.alt = `Histogram of the noisy votes that chose generation ${g}: ${facts}`;
  set(".votes figcaption p", `Votes for the images of generation ${g - 1}; those past the threshold became the parents of generation ${g}.`);
}

function render() {
  const incoming = props.value || {};
  if ((incoming.run_id || "") !== wanted()) return;
  const before = view;
  if (before?.run_id !== incoming.run_id) {
    galleries.clear();
    pinned = null;
    drawn = "";
    find(".rows").replaceChildren();
    find(".rows").dataset.shape = "";
    find(".votes").hidden = true;
  }
  view = incoming;
  heard = Date.now();
  root.dataset.status = view.status || "none";
  document.body.classList.toggle("run-live", isLive());
  if (view.title) document.title = view.title;
  if (view.status === "missing") return set(".missing-reason", view.error);
  if (!view.run_id) return;
  showStatus();
  showSlider();
  if (!before || before.status === view.status) return;
  set(".announce", view.line);
  if (["done", "failed"].includes(view.status)) notify();
}

function notify() { // a run has ended while the visitor looks at something else
  if (!document.hidden || window.Notification?.permission !== "granted") return;
  try {
    new Notification("Private Evolution Studio", { body: view.line, tag: view.run_id, silent: true });
  } catch { /* phones have the class but let no page make one */ }
}

function adopt(runId) { // the run this tab has just started
  setAddress(runId);
  trigger("attach_run", { run_id: runId });
  if (innerWidth <= 1000 || root.getBoundingClientRect().top < 0) root.scrollIntoView();
}

function leave() { // back to the empty page, without touching the run
  setAddress("");
  view = null;
  document.title = "Private Evolution Studio";
  document.body.classList.remove("run-live");
  root.dataset.status = "none";
  trigger("leave_run");
}

function openZoom(image) {
  const zoom = find(".zoom");
  zoom.querySelector("img").src = image.src;
  zoom.querySelector("img").alt = image.alt;
  zoom.querySelector("p").textContent = image.alt;
  zoom.classList.toggle("pixels", find(".rows").classList.contains("pixels"));
  if (!zoom.open) zoom.showModal();
}

function stepZoom(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const images = [...root.querySelectorAll(".tile img")];
  const at = images.findIndex((image) => image.src === find(".zoom img").src);
  openZoom(images[(at + step + images.length) % images.length]);
}

document.addEventListener("click", (event) => { // ask only once a run is wanted, and go on at once
  if (event.target.closest("#run-button") && window.Notification?.permission === "default")
    Notification.requestPermission();
});
document.addEventListener("run-started", ({ detail }) => detail && adopt(detail));

const press = (selector, action) =>
  root.querySelectorAll(selector).forEach((node) => node.addEventListener("click", action));

press(".stop-run", () => trigger("stop_run", { run_id: view.run_id }));
press(".resume-run", () => trigger("resume_run", { run_id: view.run_id }));
press(".new-run", leave);
press(".delete-run", () => find(".confirm").showModal());
press(".keep", () => find(".confirm").close());
press(".really-delete", () => {
  find(".confirm").close();
  trigger("delete_run", { run_id: view.run_id });
  leave();
});
press(".follow", () => { pinned = null; showSlider(); });
press(".more-rows", () => { allRows = true; showSlider(); });
press(".zoom-close", () => find(".zoom").close());
press(".rows", (event) => {
  const image = event.target.closest(".tile")?.querySelector("img");
  if (image) openZoom(image);
});
find(".slide input").addEventListener("input", (event) => {
  pinned = Number(event.target.value);
  showSlider();
});
find(".zoom").addEventListener("keydown", stepZoom);
for (const dialog of root.querySelectorAll("dialog")) // a click on the backdrop closes
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
new MutationObserver(() => view?.generations && showSlider())
  .observe(document.body, { attributes: true, attributeFilter: ["class"] });
setInterval(async () => { // a proxy, a sleeping phone or a restarted server has cut the stream
  if (!isLive() || Date.now() - heard < Number(root.dataset.silence)) return;
  const answer = await fetch(`/runs/${view.run_id}/gallery/0.json`, { cache: "no-store" }).catch(() => null);
  if (answer) location.reload(); // which attaches to the run again
  else set(".line", "The server does not answer. Trying again");
}, 2000);
watch("value", render);
render();
