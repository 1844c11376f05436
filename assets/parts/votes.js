// The histogram of the noisy votes that chose the generation on screen.
import { isDark, set } from "/parts/dom.js";

export function mount({ find }) {
  const figure = find(".votes"), image = find(".votes img");

  return {
    show(view, generation) {
      figure.hidden = !generation?.votes;
      if (figure.hidden) return;
      const g = generation.generation;
      const source = `/runs/${view.run_id}/votes/${g}.png?theme=${isDark() ? "dark" : "light"}`;
      if (image.getAttribute("src") !== source) image.src = source;
      const facts = `σ = ${view.sigma} votes, threshold ${generation.threshold} votes`;
      image.alt = `Histogram of the noisy votes that chose generation ${g}: ${facts}`;
      set(find(".votes figcaption p"), `Votes for the images of generation ${g - 1}; those past the threshold became the parents of generation ${g}.`);
    },
    reset() { figure.hidden = true; },
  };
}
