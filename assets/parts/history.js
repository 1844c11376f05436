// The drawer "Runs": all runs of whoever looks, newest first, and what may be done with each. While
// it is open it asks every two seconds what has changed.
import { getJson, make, openDialog, send, set } from "/parts/dom.js";
import { facts, pressable, renameForm, when } from "/parts/history_entry.js";

const POLL_MS = 2000;
const PAGE = 50;

export function mount(stage) {
  const { find, trigger } = stage;
  const drawer = find(".history"), list = find(".history-list"), confirm = find(".history-confirm");
  const entries = new Map(); // run id -> {node, update}
  let wanted = PAGE, timer = 0, wish = null;

  const button = () => document.getElementById("runs-button");

  function say(text, wrong = false) {
    set(find(".history-said"), text);
    find(".history-said").classList.toggle("wrong", wrong);
  }

  async function tell(method, url, body) { // and show what has become of it; null if it failed
    try {
      const told = await send(method, url, body);
      say("");
      return told;
    } catch (error) {
      say(error.message, true);
      return null;
    } finally {
      load();
    }
  }

  async function count() {
    const told = await getJson("/runs?most=0", { cache: "no-store" });
    if (told && button()) set(button().querySelector("span"), told.total ? String(told.total) : "");
  }

  async function load() {
    const runs = [];
    let total = 0;
    do {
      const told = await getJson(`/runs?skip=${runs.length}`, { cache: "no-store" });
      if (!told) return say("The server does not answer. Trying again.", true);
      total = told.total;
      runs.push(...told.runs);
      if (!told.runs.length) break;
    } while (runs.length < Math.min(wanted, total));
    if (button()) set(button().querySelector("span"), total ? String(total) : "");
    show(runs, total);
  }

  function show(runs, total) {
    const known = new Set(runs.map((run) => run.run_id));
    for (const [id, { node }] of entries) if (!known.has(id)) node.remove(), entries.delete(id);
    runs.forEach((run, place) => {
      if (!entries.has(run.run_id)) entries.set(run.run_id, entry(run.run_id));
      const { node, update } = entries.get(run.run_id);
      update(run);
      if (list.children[place] !== node) list.insertBefore(node, list.children[place] ?? null);
    });
    find(".history-empty").hidden = total > 0;
    find(".history-more").hidden = runs.length >= total;
    find(".history-clear").hidden = !total;
  }

  function entry(id) {
    const node = make("li");
    const image = Object.assign(new Image(), { alt: "", loading: "lazy", decoding: "async", hidden: true });
    const none = make("div", "no-image"), text = make("div");
    const open = pressable("open-run", "", () => openRun(id));
    const line = make("p", "run-line"), said = make("p", "run-facts"), doings = make("div", "run-doings");
    const command = Object.assign(make("pre", "run-command"), { hidden: true, tabIndex: 0 });
    let title = "", shown = -1;
    const rename = renameForm(() => title, (text) => keepTitle(id, text));
    const renamer = pressable("", "Rename", () => rename.open());
    const out = pressable("leave-queue", "Leave the queue", () => tell("POST", `/runs/${id}/stop`));
    const up = pressable("", "Move up", () => tell("POST", `/runs/${id}/sooner`));
    const like = pressable("", "Use these settings", () => likeRun(id));
    const copy = pressable("", "Copy command line", () => copyCommand(id, command));
    const away = pressable("delete-one", "Delete", () => ask(`Delete the run “${open.textContent}”?`, () => deleteOne(id)));
    command.setAttribute("aria-label", "Command line");
    doings.append(renamer, like, copy, out, up, away);
    text.append(open, line, said);
    node.append(none, image, text, doings, rename.form, command);

    function update(run) {
      const damaged = run.status === "damaged", queued = run.status === "queued";
      title = run.title;
      node.classList.toggle("here", stage.view?.run_id === id);
      set(open, run.title || (damaged ? "A run" : run.dataset));
      set(line, run.line);
      set(said, damaged ? when(run.made) : facts(run));
      out.hidden = !queued;
      up.hidden = !queued || run.position < 2;
      like.hidden = copy.hidden = renamer.hidden = damaged;
      if (run.generation !== null && !damaged && run.generation !== shown) {
        shown = run.generation;
        image.src = `/runs/${id}/thumbnail/${shown}.png`;
        image.hidden = false;
        none.hidden = true;
      }
    }
    return { node, update };
  }

  async function keepTitle(id, text) {
    const told = await tell("PUT", `/runs/${id}/title`, { title: text });
    if (!told || stage.view?.run_id !== id) return;
    stage.view = { ...stage.view, name: told.title }; // a finished run sends no more views
    stage.refresh();
  }

  function openRun(id) {
    drawer.close();
    document.dispatchEvent(new CustomEvent("run-started", { detail: id }));
  }

  function likeRun(id) {
    drawer.close();
    trigger("like_run", { run_id: id });
    document.getElementById("setup").scrollIntoView({ block: "start" });
  }

  async function copyCommand(id, place) {
    let line;
    try {
      line = (await send("GET", `/runs/${id}/command.json`)).command;
    } catch (error) {
      return say(error.message, true);
    }
    place.textContent = line;
    place.hidden = false;
    const copied = await navigator.clipboard?.writeText(line).then(() => true, () => false);
    say(copied ? "Copied. Put your folder in place of DATA and a new one in place of OUT."
      : "Mark the line below to copy it. DATA is your folder, OUT a new one.");
  }

  function ask(question, action) {
    wish = action;
    set(find("#history-question"), question);
    openDialog(confirm);
  }

  async function deleteOne(id) {
    if (await tell("DELETE", `/runs/${id}`) && stage.view?.run_id === id) stage.leave();
  }

  async function deleteAll() {
    const told = await tell("DELETE", "/runs");
    if (!told) return;
    say(told.left ? `${told.left} still at work: pause it first, then delete it.` : "");
    if (stage.view && !stage.live) stage.leave();
  }

  function openDrawer() {
    say("");
    openDialog(drawer);
    load();
    timer = setInterval(() => document.hidden || load(), POLL_MS);
  }

  document.addEventListener("click", (event) => event.target.closest("#runs-button") && openDrawer());
  document.addEventListener("run-started", count);
  document.addEventListener("run-deleted", count);
  drawer.addEventListener("close", () => clearInterval(timer));
  find(".history-close").addEventListener("click", () => drawer.close());
  find(".history-more").addEventListener("click", () => { wanted += PAGE; load(); });
  find(".history-clear").addEventListener("click", () => ask("Delete all runs that are not at work?", deleteAll));
  find(".history-keep").addEventListener("click", () => confirm.close());
  find(".history-delete").addEventListener("click", () => { confirm.close(); wish(); });
  count();
  return { reset() { count(); } };
}
