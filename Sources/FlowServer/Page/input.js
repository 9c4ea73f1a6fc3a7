// The input image.

import { byId, sayInForm, say } from "./elements.js";

const largestInput = 2048;
let current = null;

/** The file of the input image, or null. */
export const inputFile = () => current?.file ?? null;

/** Sets the input image; null removes it. */
export async function startFrom(file) {
  if (current) URL.revokeObjectURL(current.url);
  current = null;
  try {
    if (file) {
      current = { file: await readable(file) };
      current.url = URL.createObjectURL(current.file);
      byId("input-thumbnail").src = current.url;
    }
    sayInForm(byId("order"), byId("order-error"), null);
  } catch {
    say(byId("order-error"), "That file is not an image this browser can read; choose a PNG or JPEG file.");
  }
  byId("input-picture").hidden = !current;
  byId("input-file").value = "";
}

// A PNG or JPEG file of moderate size.
async function readable(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, largestInput / Math.max(picture.width, picture.height));
  if (scale === 1 && ["image/png", "image/jpeg"].includes(file.type)) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

/** Accepts images that are pasted or dropped on the page. */
export function takeDropped(composer, use) {
  const pictureIn = (transfer) => [...(transfer?.files ?? [])].find(({ type }) => type.startsWith("image/"));
  addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData);
    if (file && !byId("page-create").hidden) use(file);
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    byId("page-create").addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      composer.classList.toggle("dropping", name === "dragover");
      const file = name === "drop" && pictureIn(event.dataTransfer);
      if (file) use(file);
    });
  }
}
