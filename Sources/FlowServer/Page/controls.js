// The adapters of a model, with the images that they read.

import { dataURL, element, fill, icon, say } from "./elements.js";
import { readable } from "./input.js";

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
}

/** The control of one adapter. */
class ControlRow {
  #source;
  #file;
  #scale;
  #preprocess;
  #start;
  #end;
  #preset;
  #image = null;
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
    this.#file = element("input.visually-hidden", {
      id: id("file"), type: "file", accept: "image/png,image/jpeg,image/webp", "aria-label": `Image of ${name}`,
    });
    this.#scale = element("input", { id: id("scale"), type: "range", min: 0, max: 2, step: 0.05, value: 1 });
    const scale = element("output", { htmlFor: this.#scale.id, "aria-live": "off" }, "1.00");
    this.#preprocess = select("preprocess", preprocessings);
    [this.#start, this.#end] = [number("start", 0, "Start"), number("end", 1, "End")];
    this.#preset = select("preset", [["", "Even"], ...presets.map((preset) => [preset])]);
    this.thumbnail = element("img", { alt: "", hidden: true });
    this.choose = element("label.adapter-image", { htmlFor: this.#file.id, title: "Choose an image" }, icon("picture"), this.thumbnail);
    this.error = element("p.error", { role: "alert", hidden: true });
    this.fields = element(
      "div.adapter-fields", { hidden: true },
      element("div.field.slider", {}, element("label", { htmlFor: this.#scale.id }, "Strength"), scale, this.#scale),
      field("Preprocessing", this.#preprocess),
      element("div.field", {}, element("span.label", {}, "Steps from, to"), element("div.joined", {}, this.#start, this.#end)),
      ...presets.length ? [field("Distribution", this.#preset)] : []);
    this.box = element(
      "fieldset.adapter", {},
      element("legend", {}, name, element("span", {}, kinds[kind] ?? kind)),
      element("div.adapter-head", {}, this.#file, this.choose, field("Reads", this.#source)), this.fields, this.error);
    this.#source.addEventListener("change", () => this.#choose());
    this.#file.addEventListener("change", () => this.#read(this.#file.files[0]));
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
      this.#read(file);
    });
    this.#show();
  }

  /** The control by the server's names; null if it is off. */
  get value() {
    const source = this.#source.value;
    if (source === "off" || (source === "image" && !this.#image)) return null;
    return {
      adapter: this.name, scale: Number(this.#scale.value), start: Number(this.#start.value),
      end: Number(this.#end.value), preprocess: this.#preprocess.value,
      ...this.#preset.value ? { preset: this.#preset.value } : {},
      ...source === "image" ? { image: this.#image } : {},
    };
  }

  #choose() {
    this.#show();
    if (this.#source.value === "image" && !this.#image) return this.#file.click();
    this.#changed(false);
  }

  #show() {
    const source = this.#source.value;
    this.fields.hidden = source === "off";
    this.choose.hidden = source !== "image";
  }

  async #read(file) {
    if (!file) return;
    this.#file.value = "";
    try {
      this.#image = await dataURL(await readable(file, largestImage));
      say(this.error, null);
    } catch {
      return say(this.error, "This browser cannot read that image; choose a PNG or JPEG file.");
    }
    this.thumbnail.src = this.#image;
    this.thumbnail.hidden = false;
    this.#source.value = "image";
    this.#show();
    this.#changed(false);
  }
}
