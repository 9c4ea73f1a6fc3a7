// The adapters of a model, with the images that they read.

import { dataURL, element, fill, icon, say } from "./elements.js";
import { opaque, readable } from "./input.js";

const kinds = { controlnet: "ControlNet", "t2i-adapter": "T2I-Adapter", "ip-adapter": "IP-Adapter" };
const preprocessings = [
  ["none", "None"], ["canny", "Canny edges"], ["scribble", "Scribble"], ["color", "Colors"], ["tile", "Tile"],
  ["luma-depth", "Brightness as depth"],
];
const largestImage = 1024;

/** The controls of all adapters of a model. */
export class Controls {
  #place;
  #rows = [];
  #own;
  #changed;

  /**
   * @param {HTMLElement} place where the controls are put
   * @param {string} own what an adapter reads without an image: "The input image", "Each frame"
   * @param {function(boolean)} changed called after each change, with whether a value only slides
   */
  constructor(place, own, changed) {
    [this.#place, this.#own, this.#changed] = [place, own, changed];
    // Its fields are no settings of the form around it.
    for (const name of ["input", "change"]) place.addEventListener(name, (event) => event.stopPropagation());
  }

  /** Offers a model's adapters; the same ones keep their images. */
  offer(adapters = []) {
    const names = adapters.map(({ name }) => name);
    if (JSON.stringify(names) === JSON.stringify(this.#rows.map(({ name }) => name))) return;
    this.#rows = adapters.map((adapter) => new ControlRow(adapter, this.#place.id, this.#own, this.#changed));
    this.#place.replaceChildren(...this.#rows.map(({ box }) => box));
    this.#place.hidden = this.#rows.length === 0;
  }

  /** The controls in use, by the server's names. */
  get values() { return this.#rows.map(({ value }) => value).filter(Boolean); }

  /**
   * Sets all controls to those of an earlier order; others are off.
   *
   * @returns {string[]} the adapters of the order that there are none of
   */
  restore(values) {
    for (const row of this.#rows) row.restore(values.find(({ adapter }) => adapter === row.name));
    const names = new Set(this.#rows.map(({ name }) => name));
    return values.map(({ adapter }) => adapter).filter((name) => !names.has(name));
  }
}

/** An image that is chosen from a file, with its thumbnail. */
class ChosenImage {
  /** The image as a data URL; null before one is chosen. */
  data = null;
  #changed;
  #isMask;

  /**
   * @param {string} id the identifier of the file field
   * @param {string} label the accessible name of the file field
   * @param {boolean} isMask whether its white areas count
   * @param {function()} changed called after an image is chosen, or none was
   */
  constructor(id, label, isMask, changed) {
    [this.#changed, this.#isMask] = [changed, isMask];
    this.file = element("input.visually-hidden", {
      id, type: "file", accept: "image/png,image/jpeg,image/webp", "aria-label": label,
    });
    this.thumbnail = element("img", { alt: "", hidden: true });
    this.box = element("label.adapter-image", { htmlFor: id, title: isMask ? "Choose a mask" : "Choose an image" }, icon("picture"), this.thumbnail);
    this.error = element("p.error", { role: "alert", hidden: true });
    this.file.addEventListener("change", () => this.read(this.file.files[0]));
    this.file.addEventListener("cancel", () => this.#changed());
  }

  async read(file) {
    if (!file) return;
    this.file.value = "";
    try {
      const image = await readable(file, largestImage);
      this.show(await dataURL(this.#isMask ? await opaque(image) : image));
    } catch {
      say(this.error, "This browser cannot read that image; choose a PNG or JPEG file.");
    }
    this.#changed();
  }

  /** Shows an image that is a data URL. */
  show(data) {
    [this.data, this.thumbnail.src, this.thumbnail.hidden] = [data, data, false];
    say(this.error, null);
  }
}

/** The control of one adapter. */
class ControlRow {
  #source;
  #area = null;
  #scale;
  #scaleText;
  #preprocess;
  #start;
  #end;
  #preset;
  #image;
  #mask;
  #changed;

  constructor({ name, kind, presets = [] }, place, own, changed) {
    this.name = name;
    this.#changed = changed;
    const id = (part) => `${place}-${name}-${part}`.replace(/[^\w-]/g, "_");
    const field = (label, input, more = "") => element(
      `div.field${more}`, {}, element("label", { htmlFor: input.id }, label), input);
    const select = (part, options) => {
      const made = element("select", { id: id(part) });
      fill(made, options);
      return made;
    };
    const number = (part, value, label) => element("input", {
      id: id(part), type: "number", min: 0, max: 1, step: 0.05, value, inputMode: "decimal", "aria-label": label,
    });
    this.#source = select("source", [["off", "Off"], ["image", "An image"], ["own", own]]);
    this.#image = new ChosenImage(id("file"), `Image of ${name}`, false, () => this.#chosen(this.#source, "image", this.#image, "off"));
    this.#mask = new ChosenImage(id("mask"), `Mask of ${name}`, true, () => this.#chosen(this.#area, "mask", this.#mask, ""));
    this.#scale = element("input", { id: id("scale"), type: "range", min: 0, max: 2, step: 0.05, value: 1 });
    const scale = this.#scaleText = element("output", { htmlFor: this.#scale.id, "aria-live": "off" }, "1.00");
    this.#preprocess = select("preprocess", preprocessings);
    [this.#start, this.#end] = [number("start", 0, "Start"), number("end", 1, "End")];
    this.#preset = select("preset", [["", "Even"], ...presets.map((preset) => [preset])]);
    // An IP-Adapter reads an image as a whole, so only a mask limits where it acts.
    if (kind === "ip-adapter") this.#area = select("area", [["", "The whole image"], ["mask", "White areas of a mask"]]);
    this.fields = element(
      "div.adapter-fields", { hidden: true },
      element("div.field.slider", {}, element("label", { htmlFor: this.#scale.id }, "Strength"), scale, this.#scale),
      field("Preprocessing", this.#preprocess),
      element("div.field", {}, element("span.label", {}, "Steps from, to"), element("div.joined", {}, this.#start, this.#end)),
      ...presets.length ? [field("Distribution", this.#preset)] : [],
      ...this.#area ? [element(
        "div.adapter-head.wide", {}, this.#mask.file, this.#mask.box, field("Applies to", this.#area)), this.#mask.error] : []);
    this.box = element(
      "fieldset.adapter", {},
      element("legend", {}, name, element("span", {}, kinds[kind] ?? kind)),
      element("div.adapter-head", {}, this.#image.file, this.#image.box, field("Reads", this.#source)), this.fields, this.#image.error);
    this.#source.addEventListener("change", () => this.#choose(this.#source, "image", this.#image));
    this.#area?.addEventListener("change", () => this.#choose(this.#area, "mask", this.#mask));
    this.#scale.addEventListener("input", () => {
      scale.value = Number(this.#scale.value).toFixed(2);
      changed(true);
    });
    for (const other of [this.#preprocess, this.#start, this.#end, this.#preset]) {
      other.addEventListener("change", () => changed(false));
    }
    this.box.addEventListener("drop", (event) => {
      const file = [...event.dataTransfer.files].find(({ type }) => type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      event.stopPropagation();
      document.body.classList.remove("dropping");
      (this.#mask.box.contains(event.target) ? this.#mask : this.#image).read(file);
    });
    this.#show();
  }

  /** The control by the server's names; null if it is off. */
  get value() {
    const source = this.#source.value;
    if (source === "off" || (source === "image" && !this.#image.data)) return null;
    return {
      adapter: this.name, scale: Number(this.#scale.value), start: Number(this.#start.value),
      end: Number(this.#end.value), preprocess: this.#preprocess.value,
      ...this.#preset.value ? { preset: this.#preset.value } : {},
      ...source === "image" ? { image: this.#image.data } : {},
      ...this.#area?.value && this.#mask.data ? { mask: this.#mask.data } : {},
    };
  }

  /** Sets the control to that of an earlier order; without one it is off. */
  restore(control) {
    this.#source.value = !control ? "off" : control.image ? "image" : "own";
    if (control) {
      for (const [field, name] of [
        [this.#scale, "scale"], [this.#preprocess, "preprocess"], [this.#start, "start"], [this.#end, "end"],
      ]) field.value = control[name];
      this.#scaleText.value = Number(control.scale).toFixed(2);
      this.#preset.value = control.preset ?? "";
      if (control.image) this.#image.show(control.image);
      if (control.mask) this.#mask.show(control.mask);
      if (this.#area) this.#area.value = control.mask ? "mask" : "";
    }
    this.#show();
  }

  #choose(select, value, image) {
    this.#show();
    if (select.value === value && !image.data) return image.file.click();
    this.#changed(false);
  }

  // Without an image, as after a canceled dialog, nothing is chosen.
  #chosen(select, value, image, otherwise) {
    select.value = image.data ? value : otherwise;
    this.#show();
    this.#changed(false);
  }

  #show() {
    const source = this.#source.value;
    this.fields.hidden = source === "off";
    this.#image.box.hidden = source !== "image";
    this.#mask.box.hidden = !this.#area?.value;
  }
}
