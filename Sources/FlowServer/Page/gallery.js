// Images in a grid that fills as they finish, and one of them in full.

import { byId, element, fileName } from "./elements.js";

/** The file of an image that came as base64. */
export function fileOf(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: `image/${format}` });
}

const smallWidth = 128;

/** A grid of images under way and finished. */
export class Gallery {
  #list;
  #cells = [];
  #order = null;

  /** @param {HTMLElement} list that the grid fills */
  constructor(list) {
    this.#list = list;
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** The finished images of the latest order. */
  get pictures() { return this.#cells.map((cell) => cell.picture).filter(Boolean); }

  /**
   * Makes room for the images of an order; those of the one before stay, paler, until replaced.
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

  /** Shows how far an image is: `done` is the part of its steps. */
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

  /** Says why an image will not come. */
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

  /** Ends what is under way; images of an earlier order that were not replaced go. */
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

  // Decoded before it is shown, so that nothing flickers; a later image is never overtaken.
  async #put(cell, file) {
    const version = ++cell.version;
    const order = this.#order;
    const image = element("img", { alt: "", src: URL.createObjectURL(file) });
    await image.decode().catch(() => {});
    URL.revokeObjectURL(image.src);
    if (version !== cell.version || order !== this.#order) return;
    cell.button.classList.remove("stale");
    // Of so few pixels that smoothing would only blur them.
    image.classList.toggle("small", image.naturalWidth < smallWidth);
    if (cell.image) cell.image.replaceWith(image);
    else cell.button.prepend(image);
    cell.image = image;
  }

  // Arrow keys go from image to image, up and down by a line of the grid.
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

// MARK: - One image in full

let shown = { pictures: [], index: 0, url: null };

/** Shows an image in full. */
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

/** The name of an image's file. */
export const nameOf = ({ file, seed, prompt }) =>
  `${fileName(prompt)}-${seed}.${file.type === "image/jpeg" ? "jpg" : "png"}`;

// The true size of the image, and how much larger it is shown.
function showSize() {
  const image = byId("viewer-picture");
  const { naturalWidth: width, naturalHeight: height, clientWidth } = image;
  if (!width) return;
  image.classList.toggle("small", width < smallWidth);
  const scale = clientWidth / width;
  const enlarged = scale > 1.1 ? `, shown ${scale.toFixed(1)} times as large` : "";
  byId("viewer-size").textContent = `${width} × ${height} pixels${enlarged}.`;
}

/**
 * Readies the dialog that shows an image in full.
 *
 * @param {{use: function(object), keep: function(object)}} actions with the image that is shown
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
