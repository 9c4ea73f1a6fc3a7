// The input image, and where it is repainted.

import { byId, sayInForm, say } from "./elements.js";
import { MaskBrush } from "./mask.js";

const largestInput = 2048;
let current = null;
let starts = 0;  // How often another input image was set.
let brush = null;
let mask = null;

/** The file of the input image, or null. */
export const inputFile = () => current?.file ?? null;

/**
 * Sets the input image; null removes it.
 *
 * @returns {Promise<boolean>} whether no other image took its place meanwhile
 */
export async function startFrom(file) {
  const mine = ++starts;
  if (current) URL.revokeObjectURL(current.url);
  current = null;
  try {
    if (file) {
      const chosen = await readable(file);
      if (mine !== starts) return false;
      current = { file: chosen, url: URL.createObjectURL(chosen) };
      byId("input-thumbnail").src = current.url;
      await byId("input-thumbnail").decode();
    }
    if (mine !== starts) return false;
    removeMask();
    sayInForm(byId("order"), byId("order-error"), null);
  } catch {
    if (mine !== starts) return false;
    say(byId("order-error"), "That file is not an image this browser can read; choose a PNG or JPEG file.");
  }
  byId("input-picture").hidden = byId("edit-fields").hidden = !current;
  byId("input-file").value = "";
  return true;
}

/** A PNG or JPEG file of moderate size. */
export async function readable(file, largest = largestInput) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, largest / Math.max(picture.width, picture.height));
  if (scale === 1 && ["image/png", "image/jpeg"].includes(file.type)) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  // PNG keeps the lines of control images as they are.
  const type = file.type === "image/png" ? file.type : "image/jpeg";
  return new Promise((done) => canvas.toBlob(done, type, 0.95));
}

/** An image as a PNG file without transparency: what is transparent is black. */
export async function opaque(file) {
  const picture = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0);
  picture.close();
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// MARK: - The mask

/** The file of the mask, or null. */
export const maskFile = () => mask;

function removeMask() {
  mask = null;
  const { naturalWidth: width, naturalHeight: height } = byId("input-thumbnail");
  if (current) brush?.resize(width, height);
  showMask();
}

/** Sets the mask of the input image to a file of an earlier one; null removes it. */
export async function restoreMask(file) {
  if (!file) return removeMask();
  const image = current;
  await brush.load(file);
  if (image !== current) return removeMask();
  mask = file;
  showMask();
}

function showMask() {
  byId("input-mask").setAttribute("aria-pressed", mask !== null);
  const context = byId("mask-thumbnail").getContext("2d");
  context.clearRect(0, 0, 144, 144);
  if (!mask) return;
  // As the thumbnail: its middle, filled.
  const view = byId("mask-canvas");
  const side = Math.min(view.width, view.height);
  context.drawImage(
    view, (view.width - side) / 2, (view.height - side) / 2, side, side, 0, 0, 144, 144);
}

/**
 * Sets up the mask's dialog.
 *
 * @param {function()} changed called when the mask has changed
 */
export function startMask(changed) {
  const dialog = byId("mask-dialog");
  let isChanged = false;
  brush = new MaskBrush(byId("mask-canvas"), byId("mask-tools"), () => { isChanged = true; });
  byId("input-mask").addEventListener("click", () => {
    byId("mask-image").src = current.url;
    const { naturalWidth: width, naturalHeight: height } = byId("input-thumbnail");
    dialog.style.setProperty("--aspect", width / height);
    if (!mask) brush.resize(width, height);
    isChanged = false;
    dialog.showModal();
    byId("mask-canvas").focus();
  });
  byId("mask-done").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", async () => {
    if (!isChanged) return;
    mask = await brush.file();
    showMask();
    changed(mask !== null);
  });
}

/**
 * Accepts images that are pasted or dropped anywhere on the page.
 *
 * @param {function(File)} use called with the file
 */
export function takeDropped(use) {
  const isMedia = ({ type }) => type.startsWith("image/") || type.startsWith("video/");
  const mediaIn = (transfer) => [...(transfer?.files ?? [])].find(isMedia);
  const mark = (isOver) => document.body.classList.toggle("dropping", isOver);
  addEventListener("paste", (event) => {
    const file = mediaIn(event.clipboardData);
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    use(file);
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      // A drag leaves one element for another; outside the window there is none.
      mark(name !== "drop" && !(name === "dragleave" && event.relatedTarget === null));
      const file = name === "drop" && mediaIn(event.dataTransfer);
      if (file) use(file);
    });
  }
}
