// Sending a run to the Hugging Face Hub: how far it is, and the link once it is there. The token
// leaves its field with the request and is in no other place.
import { fill, getJson, send, set } from "/parts/dom.js";

const LOOK_MS = 1000;

export function mountHub(root, { address, choice }) {
  const part = (name) => root.querySelector(`.hub-${name}`);
  const form = root.querySelector("form");
  let timer = 0;

  function show({ state, done, total, url, error }) {
    const working = state === "working";
    part("send").hidden = working;
    part("cancel").hidden = part("bar").hidden = !working;
    part("link").hidden = state !== "done";
    part("told").classList.toggle("wrong", state === "failed");
    fill(part("bar"), total ? done / total : 0);
    part("bar").setAttribute("aria-valuemax", total);
    part("bar").setAttribute("aria-valuenow", done);
    if (state === "done") {
      const link = part("link").querySelector("a");
      link.href = url;
      set(link, url);
    }
    set(part("told"), {
      none: "",
      working: `${done} of ${total} files are sent`,
      done: "The data set is on the Hub.",
      failed: error,
      cancelled: "Cancelled. The data set stays there without these images; delete it on the Hub.",
    }[state]);
    clearTimeout(timer);
    if (working) timer = setTimeout(look, LOOK_MS);
  }

  async function look() {
    const told = await getJson(address("hub"), { cache: "no-store" });
    if (told) show(told);
  }

  async function begin(event) {
    event.preventDefault();
    const token = part("token").value;
    part("token").value = "";
    const body = { ...choice(), repo: part("repo").value, token, private: part("private").checked };
    try {
      show(await send("POST", address("hub"), body));
    } catch (error) {
      show({ state: "failed", done: 0, total: 0, url: "", error: error.message });
    }
  }

  form.addEventListener("submit", begin);
  part("cancel").addEventListener("click", async () => {
    set(part("told"), "Cancelling");
    await send("DELETE", address("hub")).catch(() => null);
  });

  return {
    open() { look(); },
    close() { clearTimeout(timer); },
  };
}
