// The table of classes in the summary: rename, merge, leave out. What it says goes, as JSON, into the
// hidden field that the handlers read; the rows themselves come from the server (ui/summary.py).
import { set } from "/parts/dom.js";

const field = () => document.querySelector("#class-map textarea, #class-map input");

function write(map) {
  const box = field();
  box.value = Object.keys(map).length ? JSON.stringify(map) : "";
  box.dispatchEvent(new Event("input", { bubbles: true })); // as if it had been typed
}

function parts(row) {
  return { tick: row.querySelector("[type=checkbox]"), name: row.querySelector("[type=text]") };
}

function called(row) { // "" is left out
  const { tick, name } = parts(row);
  return tick.checked ? name.value.trim() || row.dataset.raw : "";
}

function commit(row) {
  const { name } = parts(row);
  name.value = name.value.trim() || row.dataset.raw;
  const map = new Map(Object.entries(JSON.parse(field().value || "{}")));
  if (called(row) === row.dataset.raw) map.delete(row.dataset.raw);
  else map.set(row.dataset.raw, called(row));
  write(Object.fromEntries(map));
  mark(row.closest(".classes"));
}

// What the rows say together: which are one, which are left out, and how many images that makes.
function mark(table) {
  const rows = [...table.querySelectorAll(".class-row")];
  const times = new Map();
  for (const row of rows) times.set(called(row), (times.get(called(row)) || 0) + 1);
  let images = 0;
  for (const row of rows) {
    const name = called(row);
    row.classList.toggle("left-out", !name);
    row.classList.toggle("merged", Boolean(name) && times.get(name) > 1);
    if (name) images += Number(row.dataset.count);
  }
  const used = times.size - times.has("");
  const words = `${images.toLocaleString("en")} image${images === 1 ? "" : "s"} in ${used} class${used === 1 ? "" : "es"}`;
  set(table.querySelector(".used"), `${words} will be used.`);
}

export function mount(trigger) {
  const rowOf = (target) => target.closest?.("#summary .class-row:not(.fixed)");
  document.addEventListener("change", (event) => {
    const row = rowOf(event.target);
    if (row) commit(row);
  });
  document.addEventListener("keydown", (event) => {
    const row = event.key === "Enter" && rowOf(event.target);
    if (row) commit(row);
  }, true); // before the key starts a run
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#summary .declare")) trigger("classes_declared");
  });
}
