// The right side of the page: shows the newest view of one run (its words come from ui/live.py) and
// asks the handlers to attach. The address (?run=) says which run this tab wants; views of others
// are ignored. Each part (status, gallery, votes, ...) is a module of its own that is told of every
// view: show(view, generation), and of another run: reset().
import { set } from "/parts/dom.js";
import { renew } from "/parts/stream.js";
import * as compare from "/parts/compare.js";
import * as curve from "/parts/curve.js";
import * as ending from "/parts/ending.js";
import * as generation from "/parts/generation.js";
import * as runs from "/parts/history.js";
import * as keys from "/parts/keys.js";
import * as more from "/parts/more.js";
import * as notify from "/parts/notify.js";
import * as preview from "/parts/preview.js";
import * as starting from "/parts/starting.js";
import * as status from "/parts/status.js";
import * as take from "/parts/take.js";
import * as votes from "/parts/votes.js";
import * as zoom from "/parts/zoom.js";

const PARTS = [
  status, preview, generation, compare, votes, curve, zoom, ending, more, runs, keys, notify, take,
  starting,
];
const NARROW = 1000; // CSS pixels: one column
const WATCH_MS = 2000;
const ANSWER_MS = 8000;
const TITLE = "Private Evolution Studio";

const wanted = () => new URLSearchParams(location.search).get("run") || "";

function pinnedAt() { // the generation that the address names, so that a reload shows it again
  const named = new URLSearchParams(location.search).get("generation");
  return /^\d{1,4}$/.test(named ?? "") ? Number(named) : null;
}

function setAddress(runId, generation = null) {
  const url = new URL(location.href);
  for (const [name, value] of [["run", runId || null], ["generation", generation]]) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history.replaceState(history.state, "", url);
}

// element, props, trigger, watch: what Gradio gives the script of a gr.HTML.
export function start({ element, props, trigger, watch }) {
  const root = element.querySelector(".live");
  let pinned = null, heard = Date.now(), looking = false, attached = false, arriving = false;

  const stage = {
    root,
    trigger,
    find: (selector) => root.querySelector(selector),
    view: null,
    get live() { return ["queued", "running", "stopping"].includes(stage.view?.status); },
    get newest() { return stage.view?.generations?.at(-1)?.generation; },
    get shown() { return pinned ?? stage.newest; }, // the generation on screen
    get pinned() { return pinned !== null; },
    choose(g) { pin(g); stage.refresh(); }, // null: follow the newest
    refresh() { if (stage.view?.run_id) show(); },
    leave,
  };
  const parts = PARTS.map((part) => part.mount(stage));

  function pin(g) {
    pinned = g;
    setAddress(wanted(), g);
  }

  function show() {
    if (pinned !== null && pinned >= stage.newest) pin(null);
    const shown = stage.view.generations.find((g) => g.generation === stage.shown);
    for (const part of parts) part.show?.(stage.view, shown);
  }

  function render() {
    const incoming = props.value || {};
    if ((incoming.run_id || "") !== wanted()) return;
    const before = stage.view;
    if (before?.run_id !== incoming.run_id) {
      pinned = pinnedAt();
      for (const part of parts) part.reset?.();
    }
    if (before?.server && before.server !== incoming.server) return location.reload();
    stage.view = incoming;
    heard = Date.now();
    attached = false;
    root.dataset.status = incoming.status || "none";
    document.body.classList.toggle("run-live", stage.live);
    if (incoming.title) document.title = incoming.title;
    if (arriving) arrive(); // not before: on a narrow window the run moves to the top only now
    if (incoming.status === "missing") return set(stage.find(".missing-reason"), incoming.error);
    if (!incoming.run_id) return;
    show();
    if (before?.run_id === incoming.run_id && before.status !== incoming.status)
      set(stage.find(".announce"), incoming.line);
  }

  function adopt(runId) { // the run this tab has just started
    setAddress(runId);
    arriving = true;
    trigger("attach_run", { run_id: runId });
  }

  function arrive() {
    arriving = false;
    if (innerWidth <= NARROW || root.getBoundingClientRect().top < 0) root.scrollIntoView();
  }

  // Where the right side scrolls by itself, it does so by keyboard, too.
  function keepScrollable() {
    const side = root.closest("#stage");
    if (side.scrollHeight > side.clientHeight && getComputedStyle(side).overflowY === "auto") {
      Object.assign(side, { tabIndex: 0, role: "region", ariaLabel: "The run" });
    } else for (const name of ["tabindex", "role", "aria-label"]) side.removeAttribute(name);
  }

  function leave() { // back to the empty page, without touching the run
    setAddress("");
    stage.view = null;
    document.title = TITLE;
    document.body.classList.remove("run-live");
    root.dataset.status = "none";
    trigger("leave_run");
  }

  async function lookForServer() { // a proxy, a sleeping laptop or a restart has cut the stream
    const told = !stage.view?.run_id || ["done", "missing"].includes(stage.view.status);
    if (told || looking || Date.now() - heard < Number(root.dataset.silence)) return;
    const { run_id } = stage.view;
    looking = true;
    const asked = { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) };
    const answer = await fetch(`/runs/${run_id}/gallery/0.json`, asked).catch(() => null);
    looking = false;
    if (!answer) return set(stage.find(".line"), "The server does not answer. Trying again");
    if (attached) return location.reload(); // that has not helped
    attached = true;
    heard = Date.now() + ANSWER_MS; // time to attach
    renew();
    trigger("attach_run", { run_id });
  }

  document.addEventListener("run-started", ({ detail }) => detail && adopt(detail));
  for (const button of root.querySelectorAll(".new-run")) button.addEventListener("click", leave);
  for (const dialog of root.querySelectorAll("dialog")) // a click on the backdrop closes
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  new MutationObserver(stage.refresh)
    .observe(document.body, { attributes: true, attributeFilter: ["class"] });
  new ResizeObserver(keepScrollable).observe(root);
  addEventListener("resize", keepScrollable);
  setInterval(lookForServer, WATCH_MS);
  addEventListener("online", () => { heard = 0; lookForServer(); });
  watch("value", render);
  render();
}
