// What is being made: a strip of small pictures, which the gallery replaces once they are finished.
import { make, set } from "/parts/dom.js";

export function mount(stage) {
  const panel = stage.find(".making"), strip = stage.find(".making-strip");
  let wanted = "";

  function draw(source, images, what) {
    while (strip.children.length > images) strip.lastChild.remove();
    while (strip.children.length < images) strip.append(make("i"));
    [...strip.children].forEach((tile, i) => { // each shows its piece of the one picture
      tile.style.backgroundImage = `url("${source}")`;
      tile.style.backgroundSize = `${100 * images}% 100%`;
      tile.style.backgroundPosition = images > 1 ? `${(100 * i) / (images - 1)}% 0` : "0 0";
    });
    strip.setAttribute("aria-label", `${images} images that are being made: ${what}`);
    strip.dataset.version = source;
    set(panel.querySelector("p"), what);
    panel.hidden = false;
  }

  return {
    show(view) {
      const preview = stage.live ? view.preview : null;
      if (!preview) panel.hidden = true;
      const source = preview ? `/runs/${view.run_id}/preview.png?v=${preview.version}` : "";
      if (source === wanted) return;
      wanted = source;
      if (!source) return;
      const picture = new Image();
      picture.addEventListener("load", () => { // meanwhile the one before stays
        if (wanted !== source) return;
        strip.classList.toggle("pixels", picture.naturalHeight < 96);
        // the server may be at a newer strip already, which has another number of images
        draw(source, Math.round(picture.naturalWidth / picture.naturalHeight), preview.what);
      });
      picture.src = source;
    },
    reset() {
      wanted = "";
      panel.hidden = true;
      strip.replaceChildren();
    },
  };
}
