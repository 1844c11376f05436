// Pieces of one entry in the drawer "Runs".
import { make } from "/parts/dom.js";

export function pressable(className, text, action) {
  const node = Object.assign(make("button", className, text), { type: "button" });
  node.addEventListener("click", action);
  return node;
}

export function when(seconds) {
  return new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function facts(run) {
  const { dataset, title, generator, samples, epsilon, made } = run;
  const name = title ? [dataset] : [];
  return [...name, generator, `${samples.toLocaleString("en")} samples`, `ε = ${epsilon}`, when(made)].join(" · ");
}

// A form for the title; Enter keeps it, Escape leaves it, and the focus goes back to where it was.
export function renameForm(current, keep) {
  let before = null;
  const form = Object.assign(make("form"), { hidden: true });
  const field = Object.assign(make("input"), { type: "text", maxLength: 80 });
  const save = Object.assign(make("button", "button", "Keep"), { type: "submit" });
  field.setAttribute("aria-label", "Title of the run");
  form.append(field, save);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    keep(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // the drawer stays open
    close();
  });

  function close() {
    form.hidden = true;
    before?.focus();
  }

  return {
    form,
    open() {
      before = document.activeElement;
      field.value = current();
      form.hidden = false;
      field.focus();
      field.select();
    },
  };
}
