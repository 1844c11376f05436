// From the press of Run until the answer: the button says so, the old problem is gone, and a second
// press does nothing.
import { set } from "/parts/dom.js";

export function mount({ find }) {
  let label = null, said = ""; // the text node of the button, which is Gradio's, and its words

  function begin(button) {
    label = [...button.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    said = label.data;
    label.data = "Starting…";
    button.setAttribute("aria-busy", "true");
    set(find(".announce"), "Starting");
  }

  function end() {
    const button = document.getElementById("run-button");
    if (button?.getAttribute("aria-busy") !== "true") return;
    label.data = said;
    button.removeAttribute("aria-busy");
    set(find(".announce"), "");
  }

  document.addEventListener("click", (event) => { // before Gradio hears of it
    const button = event.target.closest("#run-button");
    if (!button) return;
    if (button.getAttribute("aria-busy") === "true") event.stopImmediatePropagation();
    else begin(button);
  }, { capture: true });
  document.addEventListener("run-started", end); // also where the start was refused
  return {};
}
