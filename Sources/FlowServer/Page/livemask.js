// The mask of a live stream, painted over its output, which has the same composition as the input.

import { byId, dataURL } from "./elements.js";
import { MaskBrush } from "./mask.js";

const output = byId("output");
const view = byId("live-mask");
const toggle = byId("output-mask");

/** Where frames are repainted. */
export class LiveMask {
  #brush;
  #value = null;

  /** @param {function()} changed called when another mask is to be used */
  constructor(changed) {
    let waiting = null;
    const read = async () => {
      waiting = null;
      const file = await this.#brush.file();
      this.#value = file === null ? null : await dataURL(file);
      this.#show();
      changed();
    };
    this.#brush = new MaskBrush(view, byId("live-mask-tools"), () => { waiting ??= setTimeout(read, 150); });
    // A mask belongs to an aspect ratio: of another one it would be distorted.
    output.addEventListener("sized", () => {
      const ratio = output.width / output.height;
      if (Math.abs(ratio - view.width / view.height) < 0.01) return;
      this.#brush.resize(output.width, output.height);
      if (this.#value !== null) read();
    });
    toggle.addEventListener("click", () => {
      view.hidden = !view.hidden;
      byId("live-mask-tools").hidden = view.hidden;
      this.#show();
      if (!view.hidden) view.focus();
    });
    this.#show();
  }

  /** The mask's file as a data URL; null for everywhere. */
  get value() { return this.#value; }

  #show() {
    toggle.setAttribute("aria-expanded", !view.hidden);
    toggle.setAttribute("aria-pressed", this.#value !== null);
    toggle.title = this.#value === null ? "Paint where frames change" : "A mask is in use; show it";
  }
}
