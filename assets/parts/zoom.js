// One image of the gallery, large; arrow keys step to its neighbours.
import { openDialog } from "/parts/dom.js";

export function mount({ root, find }) {
  const zoom = find(".zoom");

  function open(image) {
    const large = zoom.querySelector("img");
    large.src = image.src;
    large.alt = image.alt;
    zoom.querySelector("p").textContent = image.alt;
    zoom.classList.toggle("pixels", find(".rows").classList.contains("pixels"));
    openDialog(zoom);
  }

  function step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const images = [...root.querySelectorAll(".tile img")];
    const at = images.findIndex((image) => image.src === zoom.querySelector("img").src);
    open(images[(at + by + images.length) % images.length]);
  }

  find(".rows").addEventListener("click", (event) => {
    const image = event.target.closest(".tile")?.querySelector("img");
    if (image) open(image);
  });
  find(".zoom-close").addEventListener("click", () => zoom.close());
  zoom.addEventListener("keydown", step);
  return { reset() { zoom.close(); } };
}
