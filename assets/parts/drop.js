// The drop zone. Its value is what the handlers read:
// {kind: "upload" | "example" | "path" | "", token, name, note}.
import * as classes from "/parts/classes.js";
import { fill, getJson } from "/parts/dom.js";
import { Broken, Upload, forget, sorted, walk } from "/parts/upload.js";

// element, props, trigger, watch: what Gradio gives the script of a gr.HTML.
export function start({ element, props, trigger, watch }) {
  const zone = element.querySelector(".drop");
  const find = (selector) => element.querySelector(selector);
  let upload = null; // the one that is under way
  let mine = { kind: "" }; // the value that this script set last

  function show(state, text = "", fraction = 0) {
    zone.dataset.state = state;
    const lead = zone.querySelector(`.drop-${state} .drop-lead`);
    if (text) lead.textContent = text;
    if (state !== "busy") return;
    fill(find(".bar"), fraction);
    find(".bar").setAttribute("aria-valuenow", Math.round(100 * fraction));
  }

  function complain(sentence, isNote = false) {
    find(".drop-problem").textContent = sentence;
    find(".drop-problem").classList.toggle("is-note", isNote);
  }

  function setValue(value) {
    zone.dataset.kind = value.kind;
    props.value = mine = value;
    trigger("source_changed");
  }

  function begin(found) {
    complain("");
    try {
      upload = new Upload(sorted(found), (text, fraction) => show("busy", text, fraction));
    } catch (error) {
      return show("idle"), complain(error.message);
    }
    show("busy", "Starting");
    send(upload);
  }

  async function send(current) {
    try {
      await current.send();
      if (upload !== current) return void forget(current.token).catch(() => {}); // cancelled at its end
      upload = null;
      setValue({ kind: "upload", token: current.token, name: current.name });
      show("ready", current.name);
    } catch (error) {
      if (upload !== current) return; // cancelled
      if (error instanceof Broken) return show("broken", `${error.message} Nothing that was sent is lost.`);
      cancel();
      complain(error.message);
    }
  }

  function cancel() {
    upload?.cancel();
    upload = null;
    show("idle");
    complain("");
  }

  function goOn() {
    show("busy", "Going on", upload.bytes / (upload.total || 1));
    send(upload);
  }

  function remove() {
    const { kind, token } = props.value || {};
    if (kind === "upload") forget(token).catch((error) => complain(error.message));
    setValue({ kind: "" });
    show("idle");
  }

  function fromInput(input) {
    const found = [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
    input.value = "";
    if (found.length) begin(found);
  }

  async function fromDrop(event) {
    event.preventDefault();
    zone.classList.remove("over");
    if (zone.dataset.state !== "idle") return;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return;
    complain("");
    show("busy", "Looking through the folder");
    const found = [];
    try {
      for (const entry of entries) await walk(entry, found, (text) => show("busy", text));
    } catch {
      return show("idle"), complain("The folder could not be read. Check its permissions and drop it again.");
    }
    begin(found);
  }

  function tryExample() {
    complain("");
    setValue({ kind: "example", name: "handwriting" });
    show("ready", "The handwriting example");
    find(".drop-remove").focus(); // the button that was pressed is gone
  }

  function openPath(event) {
    event.preventDefault();
    const path = find(".path-input").value.trim();
    markPath(!path);
    if (!path) return complain("Type where the folder or zip is.");
    complain("");
    const name = path.split(/[\\/]/).filter(Boolean).at(-1) || path;
    setValue({ kind: "path", token: path, name: name.replace(/\.zip$/i, "") });
    show("busy", "Looking into it");
  }

  // A path is found or not only once the server has looked; what is wrong is told at the field.
  function answered({ detail: { summary, problem } }) {
    if (zone.dataset.state !== "busy" || upload || mine.kind !== "path") return;
    if (summary) return show("ready", mine.token);
    show("idle");
    const said = new DOMParser().parseFromString(problem || "", "text/html").body.textContent;
    complain(said || "The server does not answer. Try again in a moment.");
    markPath(true);
  }

  function markPath(wrong) {
    const field = find(".path-input");
    field.setAttribute("aria-invalid", String(wrong));
    if (wrong) field.focus();
  }

  zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", fromDrop);
  find(".choose-folder").addEventListener("click", () => find(".folder-input").click());
  find(".choose-files").addEventListener("click", () => find(".files-input").click());
  find(".folder-input").addEventListener("change", (event) => fromInput(event.target));
  find(".files-input").addEventListener("change", (event) => fromInput(event.target));
  for (const button of element.querySelectorAll(".drop-cancel")) button.addEventListener("click", cancel);
  find(".drop-again").addEventListener("click", goOn);
  find(".drop-remove").addEventListener("click", remove);
  find(".try-example").addEventListener("click", tryExample);
  find(".drop-path").addEventListener("submit", openPath);
  find(".path-input").addEventListener("input", () => markPath(false));
  document.addEventListener("source-described", answered);
  getJson("/who.json").then((who) => {
    find(".drop-path").hidden = !who?.may_open_paths;
    find(".drop-no-path").textContent = who?.why_not || "";
  });
  // A file dropped beside the zone must not replace the page.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

  watch("value", () => { // set by a handler, once a run has taken the images
    const value = props.value || {};
    if (value === mine || value.kind) return;
    complain(value.note || "", true);
    // Others may have been dropped before the answer came: they stay.
    if (mine.kind === "upload" && mine.token !== value.token) return void (props.value = mine);
    mine = value;
    trigger("source_emptied");
    if (!upload) show("idle");
  });

  classes.mount(trigger);
}
