// The scale of ε: a slider from 0.1 to 20 in equal ratios, kept in step with the number beside it,
// and the button that takes over the advice. What the budget means is worked out by the server.
import { set } from "/parts/dom.js";
import { markFields } from "/parts/wrong_fields.js";

// From ln 19 on the best guess is right more than 95 % of the time: weak, as in the report.
const TIERS = [[1, "strong"], [2.944, "reasonable"], [Infinity, "weak"]];

const fieldOf = (id) => document.querySelector(`#${id} :is(input, textarea)`);

function setField(id, text) {
  const field = fieldOf(id);
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

export function start({ element, props, watch }) {
  const slider = element.querySelector("input");
  const tiers = element.querySelectorAll(".tiers span");

  function show(epsilon) {
    const words = TIERS.findIndex(([most]) => epsilon <= most);
    slider.style.setProperty("--at", (slider.value - slider.min) / (slider.max - slider.min));
    slider.setAttribute("aria-valuetext", `ε ${epsilon}, ${TIERS[words][1]}`);
    tiers.forEach((tier, i) => tier.classList.toggle("on", i === words));
  }

  function follow(text) { // the number that is typed, or that a handler has set
    const epsilon = Number(String(text).replace(",", "."));
    if (!(epsilon > 0)) return;
    slider.value = Math.log10(epsilon);
    show(epsilon);
  }

  slider.addEventListener("input", () => {
    const epsilon = Number((10 ** slider.value).toPrecision(2));
    show(epsilon);
    setField("field-epsilon", String(epsilon));
  });
  document.addEventListener("input", ({ target }) => {
    if (target === fieldOf("field-epsilon")) follow(target.value);
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest(".use-advice");
    if (!button) return;
    setField("field-iterations", button.dataset.iterations);
    setField("field-num-samples", button.dataset.samples);
  });
  watch("value", () => {
    const { epsilon, said } = props.value || {};
    if (document.activeElement !== slider) follow(epsilon);
    set(element.querySelector(".for-readers"), said || "");
  });
  follow(props.value?.epsilon);
  markFields();
}
