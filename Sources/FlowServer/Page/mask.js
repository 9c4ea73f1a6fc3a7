// A brush that paints where an image is repainted.

import { element, icon } from "./elements.js";
import { followStrokes } from "./strokes.js";

const mostUndone = 20;
const longestSide = 512;
const tint = [230, 40, 130, 150];  // Red, green, blue and opacity of what is repainted.

/** A mask over an image: white where it is repainted. */
export class MaskBrush {
  #view;
  #shown;
  #mask = document.createElement("canvas");
  #ink = this.#mask.getContext("2d", { willReadFrequently: true });
  #undone = [];
  #tools;
  #changed;

  /**
   * @param {HTMLCanvasElement} view the transparent canvas above the image
   * @param {HTMLElement} place where the tools are put
   * @param {function()} changed called after each change by the user
   */
  constructor(view, place, changed) {
    this.#view = view;
    this.#shown = view.getContext("2d");
    this.#changed = changed;
    this.#tools = new MaskTools(place, view.id, {
      undo: () => this.undo(), clear: () => this.#edit(() => this.#wipe()), invert: () => this.#edit(() => this.#invert()),
    });
    this.resize(longestSide, longestSide);
    followStrokes(view, {
      begin: () => this.#keep(), line: (from, to) => this.#line(from, to), moved: changed, undo: () => this.undo(),
    });
  }

  /** Whether nothing is repainted. */
  get isEmpty() {
    const { data } = this.#ink.getImageData(0, 0, this.#mask.width, this.#mask.height);
    for (let place = 0; place < data.length; place += 4) if (data[place] > 7) return false;
    return true;
  }

  /** Begins an empty mask of an image's proportions. */
  resize(width, height) {
    const scale = longestSide / Math.max(width, height);
    for (const canvas of [this.#mask, this.#view]) {
      canvas.width = Math.max(1, Math.round(width * scale));
      canvas.height = Math.max(1, Math.round(height * scale));
    }
    this.#undone = [];
    this.#tools.canUndo = false;
    this.#wipe();
  }

  /** The mask as a PNG file; null if nothing is repainted. */
  file() {
    return this.isEmpty ? Promise.resolve(null) : new Promise((done) => this.#mask.toBlob(done, "image/png"));
  }

  /** Begins with a mask from a file. */
  async load(file) {
    const picture = await createImageBitmap(file);
    this.resize(picture.width, picture.height);
    this.#ink.globalCompositeOperation = "source-over";
    this.#ink.drawImage(picture, 0, 0, this.#mask.width, this.#mask.height);
    picture.close();
    this.#show();
  }

  /** Undoes the last change. */
  undo() {
    const before = this.#undone.pop();
    this.#tools.canUndo = this.#undone.length > 0;
    if (!before) return;
    this.#ink.putImageData(before, 0, 0);
    this.#show();
    this.#changed();
  }

  #edit(change) {
    this.#keep();
    change();
    this.#changed();
  }

  #keep() {
    this.#undone.push(this.#ink.getImageData(0, 0, this.#mask.width, this.#mask.height));
    if (this.#undone.length > mostUndone) this.#undone.shift();
    this.#tools.canUndo = true;
  }

  #wipe() {
    this.#ink.globalCompositeOperation = "source-over";
    this.#ink.fillStyle = "#000";
    this.#ink.fillRect(0, 0, this.#mask.width, this.#mask.height);
    this.#show();
  }

  #invert() {
    this.#ink.globalCompositeOperation = "difference";
    this.#ink.fillStyle = "#fff";
    this.#ink.fillRect(0, 0, this.#mask.width, this.#mask.height);
    this.#show();
  }

  // Overlapping dabs of a soft brush take the larger value, so that its edge stays soft.
  #line(from, to) {
    const { size, softness, erases } = this.#tools;
    const radius = Math.max(1, size / 2 * to.pressure);
    const [inside, outside] = erases ? ["#000", "#fff"] : ["#fff", "#000"];
    this.#ink.globalCompositeOperation = erases ? "darken" : "lighten";
    const distance = Math.hypot(to.x - from.x, to.y - from.y);
    const count = Math.max(1, Math.ceil(distance / Math.max(1, radius / 5)));
    for (let dab = 1; dab <= count; dab += 1) {
      const x = from.x + (to.x - from.x) * dab / count;
      const y = from.y + (to.y - from.y) * dab / count;
      const inner = Math.max(0, Math.min(radius * (1 - softness), radius - 1));
      const gradient = this.#ink.createRadialGradient(x, y, inner, x, y, radius);
      gradient.addColorStop(0, inside);
      gradient.addColorStop(1, outside);
      this.#ink.fillStyle = gradient;
      this.#ink.beginPath();
      this.#ink.arc(x, y, radius, 0, 2 * Math.PI);
      this.#ink.fill();
    }
    const left = Math.min(from.x, to.x) - radius - 1;
    const top = Math.min(from.y, to.y) - radius - 1;
    this.#show(left, top, Math.abs(to.x - from.x) + 2 * radius + 2, Math.abs(to.y - from.y) + 2 * radius + 2);
  }

  // Shows a part of the mask in a color above the image.
  #show(left = 0, top = 0, width = this.#mask.width, height = this.#mask.height) {
    const [x, y] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
    const right = Math.min(this.#mask.width, Math.ceil(left + width));
    const bottom = Math.min(this.#mask.height, Math.ceil(top + height));
    if (right <= x || bottom <= y) return;
    const part = this.#ink.getImageData(x, y, right - x, bottom - y);
    for (let place = 0; place < part.data.length; place += 4) {
      part.data[place + 3] = part.data[place] * tint[3] / 255;
      part.data[place] = tint[0];
      part.data[place + 1] = tint[1];
      part.data[place + 2] = tint[2];
    }
    this.#shown.putImageData(part, x, y);
  }
}

/** The tools of a mask: brush or eraser, its size and softness, and changes of the whole. */
class MaskTools {
  #size;
  #softness;
  #eraser;
  #undo;

  constructor(place, name, { undo, clear, invert }) {
    const choice = (id, value, label, checked) => {
      const input = element("input", { type: "radio", name: `${name}-tool`, id, value, checked });
      return [input, element("label", {}, input, element("span", {}, label))];
    };
    const [, paint] = choice(`${name}-paint`, "paint", "Paint", true);
    const [eraser, erase] = choice(`${name}-erase`, "erase", "Erase", false);
    this.#eraser = eraser;
    const slider = (id, label, value, most) => {
      const input = element("input", { type: "range", id, min: most === 1 ? 0 : 4, max: most, step: most === 1 ? 0.05 : 1, value });
      return [input, element("label.brush-size", { htmlFor: id, title: label }, element("span", {}, label), input)];
    };
    const [size, sizeField] = slider(`${name}-size`, "Size", 60, 200);
    const [softness, softnessField] = slider(`${name}-softness`, "Softness", 0.3, 1);
    [this.#size, this.#softness] = [size, softness];
    const button = (id, label, sign, action) => {
      const made = element("button.icon-button", { type: "button", id: `${name}-${id}`, "aria-label": label, title: label }, icon(sign));
      made.addEventListener("click", action);
      return made;
    };
    this.#undo = button("undo", "Undo", "undo", undo);
    place.classList.add("tools", "mask-tools");
    place.setAttribute("role", "toolbar");
    place.setAttribute("aria-label", "Mask");
    place.append(
      element("fieldset.segments", {}, element("legend.visually-hidden", {}, "Tool"), paint, erase),
      element("span.mask-buttons", {}, this.#undo, button("invert", "Invert the mask", "invert", invert),
        button("clear", "Clear the mask", "clear", clear)),
      sizeField, softnessField);
    // Its own fields are no settings of a form around it.
    for (const name of ["input", "change"]) place.addEventListener(name, (event) => event.stopPropagation());
  }

  get size() { return Number(this.#size.value); }
  get softness() { return Number(this.#softness.value); }
  get erases() { return this.#eraser.checked; }
  set canUndo(can) { this.#undo.disabled = !can; }
}
