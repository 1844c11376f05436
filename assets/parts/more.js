// "Go on": a new run from a generation of this one. Says what that costs before anything is spent,
// and fills in the form on the left.
import { openDialog, send, set } from "/parts/dom.js";

const PAUSE_MS = 250; // after the last key, before the cost is asked for

export function mount(stage) {
  const { find, trigger } = stage;
  const dialog = find(".go-on"), from = find(".go-on-from"), more = find(".go-on-more");
  const epsilon = find(".go-on-epsilon"), cost = find(".go-on-cost"), fill = find(".go-on-fill");
  let asked = 0, timer = 0;

  const wish = () => ({ generation: from.value, iterations: more.value, epsilon: epsilon.value });

  async function askCost() {
    const mine = ++asked;
    const query = new URLSearchParams(wish());
    const told = [from, more, epsilon].every((field) => field.value && field.checkValidity())
      ? await send("GET", `/runs/${stage.view.run_id}/cost.json?${query}`).catch((error) => error)
      : new Error(`Type generation 0 to ${from.max}, 1 to 200 more, and an ε from 0.01 to 100.`);
    if (mine !== asked) return;
    const wrong = told instanceof Error;
    cost.classList.toggle("wrong", wrong);
    set(cost, wrong ? told.message : told.sentence);
    fill.disabled = wrong;
  }

  function open(generation) {
    from.max = stage.newest;
    from.value = generation;
    epsilon.value = stage.view.own_epsilon;
    set(cost, "");
    openDialog(dialog);
    askCost();
  }

  function fillForm() {
    dialog.close();
    trigger("like_run", { run_id: stage.view.run_id, ...wish() });
    document.getElementById("setup").scrollIntoView({ block: "start" });
  }

  dialog.addEventListener("input", () => {
    fill.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(askCost, PAUSE_MS);
  });
  find(".go-on-run").addEventListener("click", () => open(stage.newest));
  find(".start-again").addEventListener("click", () => open(stage.shown));
  find(".go-on-cancel").addEventListener("click", () => dialog.close());
  fill.addEventListener("click", fillForm);

  return {
    show() { find(".start-again").hidden = !stage.pinned || stage.live || stage.view.watching; },
    reset() { dialog.close(); },
  };
}
