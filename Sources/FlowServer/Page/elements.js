// Document helpers for all pages.

/** The element with an id. */
export const byId = (id) => document.getElementById(id);

/**
 * Creates an element.
 *
 * @param {string} name its tag, with classes after dots: "span.name"
 * @param {object} properties of the element; those with a hyphen are attributes
 * @param {...(Node|string)} children its content
 */
export function element(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  made.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Creates an SVG element with attributes. */
export function drawn(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** One of the page's icons. */
export function icon(name) {
  const made = drawn("svg", { "aria-hidden": "true" });
  made.append(drawn("use", { href: `#icon-${name}` }));
  return made;
}

/** A file as a data URL. */
export const dataURL = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(file);
});

/** A count with its noun: "1 image", "3 images". */
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A debounced version of a function. */
export function debounced(milliseconds, action) {
  let timer;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** A random seed. */
export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

/** The number in a seed's field, or null. */
export function seedOf(field) {
  const seed = Number(field.value.trim());
  return /^\d+$/.test(field.value.trim()) && Number.isSafeInteger(seed) ? seed : null;
}

/** Saves a file as a browser download. */
export function download(file, name) {
  const link = element("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A file name for a text. */
export const fileName = (text) =>
  text.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60)
  || "image";

/** Whether the device uses an on-screen keyboard. */
export const isTouched = () => matchMedia("(pointer: coarse)").matches;

/** Shows or clears an error in an element. */
export function say(place, message) {
  place.textContent = message ?? "";
  place.hidden = !message;
}

/**
 * Shows an error below the field that caused it, or else in the form's own element.
 *
 * @param {HTMLFormElement} form whose fields are named as the server's parameters
 * @param {HTMLElement} place for other errors
 * @param {?{message: string, parameter: ?string}} error the error; null clears errors
 */
export function sayInForm(form, place, error) {
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
  for (const old of form.querySelectorAll(".field-error")) old.remove();
  const name = error?.parameter?.split(/[.[]/)[0];
  const field = name && form.querySelector(`[name="${CSS.escape(name)}"]`);
  const box = field?.closest(".field");
  if (!box) return say(place, error?.message);
  say(place, null);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-errormessage", `${field.id}-error`);
  box.append(element("p.field-error", { id: `${field.id}-error`, role: "alert" }, error.message));
  for (let outer = box.closest("details"); outer; outer = outer.parentElement.closest("details")) {
    outer.open = true;
  }
}

/** Fills a select element, and keeps the selection if it still exists. */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(
    ...options.map(([value, text]) => element("option", { value }, text ?? value)));
  if (options.some(([value]) => value === before)) select.value = before;
}

/** The suggested sizes for a model, its own first; `only` lists the sizes that it was trained for, if it is limited. */
export function sizes({ width, height, size_multiple: multiple, max_side: most }, only = []) {
  if (!width) return [["auto", "Automatic"]];  // The model is loading.
  const found = new Map([[`${width}x${height}`, `${width} × ${height}`]]);
  for (const [across, down] of [[0.75, 0.75], [1.5, 1.5], [1.5, 1], [1, 1.5]]) {
    const [wide, high] = [width * across, height * down];
    const fits = [wide, high].every((side) => side % multiple === 0 && side <= most && side >= 32);
    if (fits && (only.length === 0 || only.includes(`${wide}x${high}`))) found.set(`${wide}x${high}`, `${wide} × ${high}`);
  }
  return [...found];
}

/** The aspect ratio of a size such as 96x64. */
export function aspectOf(size) {
  const [width, height] = size.split("x").map(Number);
  return width > 0 && height > 0 ? width / height : 1;
}
