// Keys of the page, except while somebody types or something else has opened.
import { openDialog } from "/parts/dom.js";

const TYPING = "input, textarea, select, [contenteditable], [role=combobox], [role=listbox]";

export function mount(stage) {
  const { find, root } = stage;
  const dialog = find(".keys");

  const press = (selector) => {
    const button = [...root.querySelectorAll(selector)].find((node) => node.offsetParent);
    button?.click();
    return Boolean(button);
  };

  function step(by) {
    const to = stage.shown + by;
    if (!stage.view?.run_id || !(to >= 0 && to <= stage.newest)) return false;
    stage.choose(to);
    return true;
  }

  const actions = {
    p: () => press(".stop-run, .resume-run"),
    r: () => (document.getElementById("runs-button")?.click(), true),
    "?": () => (openDialog(dialog), true),
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key.length === 1) return;
    if (event.target.closest(TYPING) || document.querySelector("dialog[open]")) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action?.()) event.preventDefault();
  });
  document.addEventListener("click", (event) => event.target.closest("#help-button") && openDialog(dialog));
  find(".keys-close").addEventListener("click", () => dialog.close());
  return {};
}
