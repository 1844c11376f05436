// What the run is doing, what may be done with it, and what it has spent.
import { fill, make, send, set } from "/parts/dom.js";

export function mount(stage) {
  const { find, trigger } = stage;

  function showProgress(view) {
    const bar = find(".status > .bar");
    const known = view.fraction !== null;
    bar.classList.toggle("unknown", !known);
    if (known) fill(bar, view.fraction);
    if (known) bar.setAttribute("aria-valuenow", Math.round(100 * view.fraction));
    else bar.removeAttribute("aria-valuenow");
  }

  function showNotices(notices) {
    const fold = find(".notices");
    fold.hidden = !notices.length;
    set(fold.querySelector("summary"), notices.length === 1 ? "1 note" : `${notices.length} notes`);
    if (fold.querySelectorAll("li").length !== notices.length)
      fold.querySelector("ul").replaceChildren(...notices.map((text) => make("li", "", text)));
  }

  function showMarks(meter, { generations, epsilon }) { // where each generation has brought ε to
    const spent = generations.filter((generation) => generation.votes);
    if (meter.querySelectorAll(".mark").length === spent.length) return;
    meter.querySelectorAll(".mark").forEach((mark) => mark.remove());
    meter.append(...spent.map((generation) => {
      const mark = make("span", "mark");
      mark.style.left = `${100 * Math.min(generation.epsilon / epsilon, 1)}%`;
      mark.title = `Generation ${generation.generation}: ε = ${generation.epsilon}`;
      return mark;
    }));
  }

  function showSpent({ status, spent_line: line, epsilon, ...view }) {
    const spent = status === "done" ? epsilon : view.spent; // finished early: all of it counts
    set(find(".spent-text"), line);
    const meter = find(".meter");
    fill(meter, spent / epsilon);
    meter.setAttribute("aria-valuemax", epsilon);
    meter.setAttribute("aria-valuenow", spent);
  }

  function showActions(view) {
    find(".stop-run").hidden = view.finishes_early && view.status !== "queued"; // its last batch
    set(find(".stop-run"), view.status === "queued" ? "Leave the queue" : "Pause");
    set(find(".resume-run"), view.finishes_early ? "Finish" : "Resume");
    find(".stop-run").hidden = view.finishes_early;
    find(".stop-run").title = view.images_note;
    set(find(".images-note"), view.images_note);
    find(".finish-run").hidden = !view.can_finish || view.finishes_early;
    find(".go-on-run").hidden = !view.generations.length;
  }

  find(".stop-run").addEventListener("click", () => trigger("stop_run", { run_id: stage.view.run_id }));
  find(".resume-run").addEventListener("click", () => trigger("resume_run", { run_id: stage.view.run_id }));

  const linkOf = () => `/runs/${stage.view.run_id}/link`;
  const say = (text) => set(find(".shared-note"), text);

  async function share() {
    try {
      const { address } = await send("POST", linkOf());
      const link = location.origin + address;
      find(".unshare-run").hidden = false;
      await navigator.clipboard.writeText(link).then(
        () => say("The link is copied. Who has it can watch this run and download its release."),
        () => say(`Who has this link can watch this run and download its release: ${link}`),
      );
    } catch (error) {
      say(error.message);
    }
  }

  async function stopSharing() {
    try {
      await send("DELETE", linkOf());
      find(".unshare-run").hidden = true;
      say("The link leads nowhere any more.");
    } catch (error) {
      say(error.message);
    }
  }

  find(".share-run").addEventListener("click", share);
  find(".unshare-run").addEventListener("click", stopSharing);

  return {
    reset() { say(""); },
    show(view) {
      stage.root.classList.toggle("watching", Boolean(view.watching));
      if (view.watching) say("You watch a run that somebody shared.");
      if (view.shared !== undefined) find(".unshare-run").hidden = !view.shared;
      set(find(".run-title"), view.name || "");
      find(".run-title").hidden = !view.name;
      set(find(".line"), view.line);
      set(find(".detail"), view.detail);
      set(find(".run-error"), view.error);
      showProgress(view);
      showNotices(view.notices);
      showActions(view);
      showSpent(view);
      showMarks(find(".meter"), view);
      set(find(".pace"), view.pace);
      find(".get-zip").href = `/runs/${view.run_id}/synthetic.zip`;
      find(".get-zip").hidden = !view.zip;
      find(".get-report").href = `/runs/${view.run_id}/report.html`;
      find(".get-report").hidden = !view.report;
    },
  };
}
