// A grid of images that fills as they finish.

import { element } from "./elements.js";
import { view } from "./viewer.js";

/** The file of a base64-encoded image. */
export function fileOf(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: `image/${format}` });
}

/** The width in pixels below which images are shown without smoothing. */
export const smallWidth = 128;

/** A grid of finished images and images in progress. */
export class Gallery {
  #list;
  #cells = [];
  #order = null;

  /** @param {HTMLElement} list the element of the grid */
  constructor(list) {
    this.#list = list;
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** The finished images of the latest order. */
  get pictures() { return this.#cells.map((cell) => cell.picture).filter(Boolean); }

  /**
   * Prepares the grid for an order; images of the previous one stay, dimmed, until replaced.
   *
   * @param {{prompt: string, n: number, aspect: number, facts: string, columns: number,
   *   prompts: {prompt: string, label: string}[], source: ?object}} order with the prompt of each image,
   *   and the settings and images that it is made of
   */
  expect(order) {
    this.#order = order;
    this.#list.style.setProperty("--aspect", order.aspect);
    this.#list.style.setProperty("--columns", order.columns);
    this.#list.classList.toggle("matrix", order.columns > 1 && order.columns <= 8);
    while (this.#cells.length > order.n) this.#cells.pop().item.remove();
    while (this.#cells.length < order.n) this.#cells.push(this.#cell(this.#cells.length));
    for (const cell of this.#cells) {
      cell.picture = null;
      cell.version = 0;
      cell.button.className = `cell waiting${cell.image ? " stale" : ""}`;
      cell.button.disabled = true;
      cell.button.style.setProperty("--done", 0);
      delete cell.button.dataset.seed;
      cell.failure?.remove();
      cell.variant = order.prompts[cell.index] ?? { prompt: order.prompt, label: "" };
      cell.caption.textContent = cell.variant.label;
      cell.caption.hidden = !cell.variant.label;
      this.#name(cell, "waiting");
    }
  }

  /** Shows the progress of an image: `done` is the fraction of its steps. */
  preview(index, file, done) {
    const cell = this.#cells[index];
    if (!cell || cell.picture) return;
    cell.button.style.setProperty("--done", done);
    this.#put(cell, file);
  }

  /** Shows a finished image. */
  finish(index, file, seed) {
    const cell = this.#cells[index];
    if (!cell) return;
    const picture = cell.picture = {
      ...this.#order, file, seed, prompt: cell.variant.prompt,
      // A later order may have replaced it.
      changed: () => { if (cell.picture === picture) this.#put(cell, picture.file); },
    };
    cell.button.style.setProperty("--done", 1);
    cell.button.classList.replace("waiting", "finished");
    cell.button.disabled = false;
    cell.button.dataset.seed = seed;
    this.#name(cell, `seed ${seed}`);
    this.#put(cell, file);
  }

  /** Shows the images of an earlier order: `{ file, seed }` each. */
  restore(order, images) {
    this.expect(order);
    images.forEach(({ file, seed }, index) => this.finish(index, file, seed));
  }

  /** Shows why an image failed. */
  fail(index, message) {
    const cell = this.#cells[index];
    if (!cell) return;
    cell.image?.remove();
    cell.image = null;
    cell.button.className = "cell";
    cell.failure = element("span.failure", {}, message);
    cell.button.append(cell.failure);
    this.#name(cell, "failed");
  }

  /** Ends the order; removes images of an earlier order that were not replaced. */
  settle() {
    const unfinished = this.#cells.filter((cell) => !cell.picture && !cell.failure?.isConnected);
    for (const cell of unfinished) cell.item.remove();
    this.#cells = this.#cells.filter((cell) => !unfinished.includes(cell));
  }

  #cell(index) {
    const button = element("button", { type: "button" }, element("span.bar"));
    const caption = element("p.caption", { hidden: true });
    const item = element("li", {}, button, caption);
    const cell = { index, button, caption, item, variant: null, image: null, picture: null, version: 0 };
    button.addEventListener("click", () => {
      if (cell.picture) view(this.pictures, this.pictures.indexOf(cell.picture));
    });
    this.#list.append(item);
    return cell;
  }

  #name(cell, state) {
    cell.button.setAttribute(
      "aria-label", `Image ${cell.index + 1} of ${this.#order.n}, ${state}: ${cell.variant.prompt}`);
  }

  // Decoded before display to avoid flicker; never replaces a later image.
  async #put(cell, file) {
    const version = ++cell.version;
    const order = this.#order;
    const image = element("img", { alt: "", src: URL.createObjectURL(file) });
    await image.decode().catch(() => {});
    URL.revokeObjectURL(image.src);
    if (version !== cell.version || order !== this.#order) return;
    cell.button.classList.remove("stale");
    // For small images, smoothing would only blur the pixels.
    image.classList.toggle("small", image.naturalWidth < smallWidth);
    if (cell.image) cell.image.replaceWith(image);
    else cell.button.prepend(image);
    cell.image = image;
  }

  // Arrow keys move between images, vertically by a line of the grid.
  #move(event) {
    const cells = this.#cells.filter((cell) => !cell.button.disabled).map((cell) => cell.button);
    const position = cells.indexOf(document.activeElement);
    const columns = getComputedStyle(this.#list).gridTemplateColumns.split(" ").length;
    const distance = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (position < 0 || !distance) return;
    event.preventDefault();
    cells[position + distance]?.focus();
  }
}
