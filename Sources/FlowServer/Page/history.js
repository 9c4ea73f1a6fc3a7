// Past prompts with their settings and images, stored by the browser.

import { capacity as archiveCapacity, load, prune, save } from "./archive.js";
import { byId, counted, element } from "./elements.js";

const storeName = "streamflow-history";
const capacity = 30;
const thumbnailCount = 4;
const thumbnailSide = 64;

let entries = [];
let latest = null;  // The parts of the newest entry, if this page added or restored it.

// Another tab may have written since.
function read() {
  try {
    entries = JSON.parse(localStorage.getItem(storeName)) ?? [];
  } catch { /* What is stored is not ours, or may not be read: begin with nothing. */ }
  entries = Array.isArray(entries)
    ? entries.filter((entry) => entry?.settings?.prompt && Array.isArray(entry.thumbnails)) : [];
}

/**
 * Shows the history.
 *
 * @param {function(object, Promise<?object>)} restore called with the settings of the selected entry,
 *   and its `images` and `parts`, null if they are not stored
 */
export function startHistory(restore) {
  read();
  byId("history-list").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const index = Number(button.dataset.index);
    const { settings, id } = entries[index];
    const stored = id ? load(id) : Promise.resolve(null);
    // Generated again without a change, it is the same entry.
    if (index === 0) stored.then((found) => { latest = found?.parts ?? null; });
    restore(settings, stored);
  });
  byId("history-clear").addEventListener("click", () => {
    entries = [];
    keep();
    byId("prompt").focus();
  });
  addEventListener("storage", ({ key }) => {
    if (key !== storeName && key !== null) return;
    read();
    show();
  });
  show();
}

/**
 * Adds a finished order.
 *
 * An order that continues the text of the previous one replaces it, so that a sentence is one entry.
 *
 * @param {object} settings the order's
 * @param {{input: ?Blob, mask: ?Blob, controls: object[]}} parts the images that it started from
 * @param {{file: Blob, seed: number}[]} images of it
 * @param {boolean} isTyped whether it was started while typing
 */
export async function remember(settings, parts, images, isTyped) {
  const thumbnails = await Promise.all(images.slice(0, thumbnailCount).map(({ file }) => thumbnail(file)));
  const id = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  const bytes = await save(id, images, parts);
  read();
  const last = entries[0];
  const before = last?.settings.prompt;
  const continues = isTyped && last?.isTyped
    && (settings.prompt.startsWith(before) || before.startsWith(settings.prompt));
  const startsAlike = ["input", "mask"].every((name) => (parts[name] ?? null) === (latest?.[name] ?? null))
    && JSON.stringify(parts.controls) === JSON.stringify(latest?.controls ?? []);
  const isSame = last && startsAlike && JSON.stringify(last.settings) === JSON.stringify(settings);
  latest = parts;
  entries = [{ id, bytes, settings, thumbnails, isTyped }, ...entries.slice(continues || isSame ? 1 : 0)];
  keep();
}

async function thumbnail(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, thumbnailSide / Math.min(picture.width, picture.height));
  const canvas = element(
    "canvas", { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas.toDataURL("image/jpeg", 0.8);
}

function keep() {
  entries = entries.slice(0, capacity);
  for (let count = entries.length; count >= 0; count = Math.floor(count / 2)) {
    try {
      localStorage.setItem(storeName, JSON.stringify(entries.slice(0, count)));
      break;
    } catch {  // The storage is full or unavailable; the page works without it.
      if (count === 0) break;
    }
  }
  // Entries of earlier versions do not know their sizes.
  prune(entries.filter(({ id }) => id).map(({ id, bytes }) => ({ id, bytes: bytes ?? archiveCapacity / capacity })));
  show();
}

function show() {
  byId("history").hidden = entries.length === 0;
  byId("history-list").replaceChildren(...entries.map(({ settings, thumbnails }, index) => {
    const facts = [settings.size.replace("x", " × "), counted(settings.steps, "step"), `seed ${settings.seed}`];
    if (settings.hasInput) facts.push("from an image");
    const isSingle = thumbnails.length < thumbnailCount;
    return element("li", {}, element(
      "button.past", { type: "button", "data-index": index },
      element(
        `span.past-pictures${isSingle ? ".single" : ""}`, {},
        ...thumbnails.slice(0, isSingle ? 1 : thumbnailCount).map((src) => element("img", { src, alt: "" }))),
      element(
        "span.past-words", {}, element("span.past-prompt", {}, settings.prompt),
        element("span.past-facts", {}, facts.join(" · ")))));
  }));
}
