// Marks the field that a sentence of the server names, and says the sentence there, too.
import { make } from "/parts/dom.js";

const SAYING = ["meaning", "problem"]; // where sentences stand
const wrong = new Map(); // by where it is said: the field

function mark(place) {
  const said = document.querySelector(`#${place} [data-field]`);
  const old = wrong.get(place);
  wrong.delete(place);
  if (old && ![...wrong.values()].includes(old)) clear(old);
  const box = said && document.getElementById(said.dataset.field);
  const field = box?.querySelector("input, textarea");
  if (!field) return;
  clear(box);
  wrong.set(place, box);
  field.setAttribute("aria-invalid", "true");
  const note = make("p", "field-problem", said.textContent);
  note.id = `${box.id}-problem`;
  field.setAttribute("aria-describedby", note.id);
  box.append(note);
}

function clear(box) {
  const field = box.querySelector("input, textarea");
  field?.removeAttribute("aria-invalid");
  field?.removeAttribute("aria-describedby");
  box.querySelector(".field-problem")?.remove();
}

export function markFields() {
  for (const place of SAYING) {
    const watched = { childList: true, subtree: true, characterData: true };
    new MutationObserver(() => mark(place)).observe(document.getElementById(place), watched);
  }
}
