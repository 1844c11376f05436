// A group of radio buttons that is the value of a gr.HTML: the generators' cards, or the presets.
import { set } from "/parts/dom.js";

export function start({ element, props, trigger, watch, events: [changed] }) {
  const radios = [...element.querySelectorAll("input[type=radio]")];
  const line = element.querySelector(".preset-said");
  const isPreset = Boolean(line);
  let told = props.value;
  let title = "";

  function tell() { // the page and the server, once for each change
    if (told === props.value) return;
    told = props.value;
    if (!isPreset) {
      document.dispatchEvent(new CustomEvent("generator-chosen", { detail: told }));
      trigger(changed);
    }
  }

  function render() { // as a handler has set it
    const chosen = radios.find((radio) => radio.value === props.value);
    for (const radio of radios) radio.checked = radio === chosen;
    const fold = chosen?.closest("details");
    if (fold) fold.open = true;
    if (isPreset) describe(chosen, "The fields say what this run was given.");
    tell();
  }

  function describe(chosen, otherwise) {
    title = chosen?.dataset.title || "";
    set(line, chosen ? `${chosen.dataset.said}.` : otherwise);
  }

  element.addEventListener("change", ({ target }) => {
    if (!radios.includes(target)) return;
    props.value = target.value;
    if (isPreset) {
      describe(target);
      trigger(changed);
    } else {
      document.dispatchEvent(new CustomEvent("settings-changed"));
      tell();
    }
  });
  if (isPreset) watchFields(() => {
    if (!title) return;
    for (const radio of radios) radio.checked = false; // so that it can be chosen again
    set(line, `Changed from ${title}. Choose it again to go back.`);
  });
  watch("value", render);
  render();
}

// Tells that a person has changed a setting that presets fill in. Gradio's lists of choices send no
// event of the page, so what they say is compared when they are left.
function watchFields(changed) {
  const filled = ({ target }) => target.closest(".of-preset, .options");
  let before = null;
  document.addEventListener("settings-changed", changed);
  document.addEventListener("input", (event) => filled(event) && changed());
  document.addEventListener("focusin", ({ target }) => { before = target.value; });
  document.addEventListener("focusout", (event) => {
    if (filled(event) && event.target.value !== before) changed();
  });
}
