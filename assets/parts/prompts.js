// The prompts: a box for all classes, and a box for each class that was found in the private
// images. The value is one text, as the server reads it: lines, some of which begin "class: ".
import { make } from "/parts/dom.js";

const MOST_ROWS = 40; // more classes are typed as lines in the box for all

export function start({ element, props, trigger, watch, events: [typed] }) {
  const all = element.querySelector(".all-prompts textarea");
  const ideas = element.querySelector(".suggestions");
  const fold = element.querySelector(".class-prompts");
  const rows = element.querySelector(".prompt-rows");
  let boxes = new Map(); // class name -> its textarea
  let generator = props.generator;
  let own = null; // the text that this script has set itself

  const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

  function compose() {
    const bound = [...boxes].flatMap(([name, box]) => lines(box.value).map((line) => `${name}: ${line}`));
    return [...(all.value ? [all.value] : []), ...bound].join("\n");
  }

  function spread(text) { // the same rule as the server's: of two names that fit, the longer
    const names = [...boxes.keys()].sort((a, b) => b.length - a.length);
    const forAll = [], bound = new Map();
    for (const line of text.split("\n")) {
      const name = names.find((n) => line.trim().startsWith(`${n}:`));
      const prompt = name && line.trim().slice(name.length + 1).trim();
      if (prompt) bound.set(name, [...(bound.get(name) || []), prompt]);
      else forAll.push(line);
    }
    all.value = forAll.join("\n");
    for (const [name, box] of boxes) box.value = (bound.get(name) || []).join("\n");
    if (bound.size) fold.open = true;
  }

  function listen() {
    own = compose();
    props.value = own;
    trigger(typed);
  }

  function edited() {
    listen();
    document.dispatchEvent(new CustomEvent("settings-changed"));
  }

  function showClasses() {
    const text = compose();
    const names = (props.classes || []).filter(Boolean);
    boxes = new Map();
    rows.replaceChildren();
    for (const name of names.length <= MOST_ROWS ? names : []) {
      const row = make("label", "prompt-row");
      const box = make("textarea");
      box.rows = 1;
      box.setAttribute("aria-label", `Prompt for class ${name}`);
      row.append(make("span", "", name), box);
      rows.append(row);
      boxes.set(name, box);
    }
    fold.hidden = !boxes.size;
    fold.querySelector("summary").textContent = `A prompt for each class (${boxes.size})`;
    spread(text);
    showIdeas();
  }

  // A name that may say who is pictured is not put into a prompt, which leaves this computer.
  const mayName = () => !props.guarded || document.querySelector("#public-names input")?.checked;

  function showIdeas() {
    const known = (props.suggestions || {})[generator] || [];
    const shown = known.filter((idea) => !idea.includes("{class}") || (boxes.size && mayName()));
    ideas.replaceChildren(...shown.map((idea) => {
      const button = make("button", "idea", idea.replace("{class}", "…"));
      button.type = "button";
      button.dataset.idea = idea;
      return button;
    }));
    ideas.hidden = !shown.length;
  }

  function take(idea) {
    if (idea.includes("{class}")) {
      for (const [name, box] of boxes) box.value = idea.replace("{class}", name);
      fold.open = true;
    } else all.value = [...lines(all.value).filter((line) => line !== idea), idea].join("\n");
    edited();
  }

  element.addEventListener("input", edited);
  ideas.addEventListener("click", (event) => {
    const button = event.target.closest(".idea");
    if (button) take(button.dataset.idea);
  });
  document.addEventListener("generator-chosen", ({ detail }) => {
    generator = detail;
    showIdeas();
  });
  document.addEventListener("change", (event) => {
    if (event.target.closest("#public-names")) showIdeas();
  });
  watch("value", () => {
    if ((props.value || "") !== own) spread(props.value || "");
    own = null;
  });
  watch(["classes", "guarded"], showClasses);
  spread(props.value || "");
  showClasses();
}
