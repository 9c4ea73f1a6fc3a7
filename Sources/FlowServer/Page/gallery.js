// A grid of images that fills as they finish, and a viewer for one of them.

import { byId, element, fileName } from "./elements.js";

/** The file of a base64-encoded image. */
export function fileOf(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: `image/${format}` });
}

const smallWidth = 128;

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
   * @param {{prompt: string, n: number, aspect: number, facts: string}} order
   */
  expect(order) {
    this.#order = order;
    this.#list.style.setProperty("--aspect", order.aspect);
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
    cell.picture = { file, seed, ...this.#order };
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
    const item = element("li", {}, button);
    const cell = { index, button, item, image: null, picture: null, version: 0 };
    button.addEventListener("click", () => {
      if (cell.picture) view(this.pictures, this.pictures.indexOf(cell.picture));
    });
    this.#list.append(item);
    return cell;
  }

  #name(cell, state) {
    cell.button.setAttribute(
      "aria-label", `Image ${cell.index + 1} of ${this.#order.n}, ${state}: ${this.#order.prompt}`);
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

// MARK: - Viewer

let shown = { pictures: [], index: 0, url: null };

/** Shows an image in the viewer. */
export function view(pictures, index) {
  shown = { pictures, index, url: null };
  turn(0);
  byId("viewer").showModal();
}

function turn(distance) {
  const count = shown.pictures.length;
  shown.index = (shown.index + distance + count) % count;
  const { file, seed, prompt, facts, aspect } = shown.pictures[shown.index];
  if (shown.url) URL.revokeObjectURL(shown.url);
  shown.url = URL.createObjectURL(file);
  const image = byId("viewer-picture");
  image.src = shown.url;
  image.alt = prompt;
  byId("viewer").style.setProperty("--aspect", aspect);
  byId("viewer-prompt").textContent = prompt;
  byId("viewer-facts").textContent = [`${shown.index + 1} of ${count}`, `seed ${seed}`, facts].join(" · ");
  const link = byId("viewer-download");
  link.href = shown.url;
  link.download = nameOf(shown.pictures[shown.index]);
  byId("viewer-previous").hidden = byId("viewer-next").hidden = count < 2;
}

/** The file name of an image. */
export const nameOf = ({ file, seed, prompt }) =>
  `${fileName(prompt)}-${seed}.${file.type === "image/jpeg" ? "jpg" : "png"}`;

// The actual size of the image, and its display scale.
function showSize() {
  const image = byId("viewer-picture");
  const { naturalWidth: width, naturalHeight: height, clientWidth } = image;
  if (!width) return;
  image.classList.toggle("small", width < smallWidth);
  const scale = clientWidth / width;
  const enlarged = scale > 1.1 ? `, enlarged ${scale.toFixed(1)} times` : "";
  byId("viewer-size").textContent = `${width} × ${height} pixels${enlarged}.`;
}

/**
 * Sets up the viewer.
 *
 * @param {{use: function(object), keep: function(object)}} actions on the displayed image
 */
export function startViewer({ use, keep }) {
  const dialog = byId("viewer");
  byId("viewer-picture").addEventListener("load", showSize);
  new ResizeObserver(showSize).observe(byId("viewer-picture"));
  byId("viewer-previous").addEventListener("click", () => turn(-1));
  byId("viewer-next").addEventListener("click", () => turn(1));
  byId("viewer-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const distance = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (distance) turn(distance);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(shown.url);
    shown.url = null;
  });
  const closing = (action) => () => {
    const picture = shown.pictures[shown.index];
    dialog.close();
    action(picture);
  };
  byId("viewer-input").addEventListener("click", closing(use));
  byId("viewer-seed").addEventListener("click", closing(keep));
}
