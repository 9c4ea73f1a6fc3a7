// An order for images: its request, its description, and its images in one file.

import { aspectOf, counted, download, fileName } from "./elements.js";
import { nameOf } from "./gallery.js";
import { inputFile } from "./input.js";
import { zip } from "./zip.js";

/** The arguments of `send` for an order: JSON, or a form if there is an input image. */
export function requestOf(order, form, partials, signal) {
  const { hasInput, ...fields } = order;
  for (const name of ["model", "guidance", "schedule", "solver", "negative_prompt"]) {
    if (!fields[name]) delete fields[name];
  }
  Object.assign(fields, { stream: true, partial_images: partials, output_format: "png" });
  if (!hasInput) return ["v1/images/generations", { method: "POST", json: fields, signal }];
  const body = new FormData();
  const file = inputFile();
  body.append("image", file, file.type === "image/png" ? "input.png" : "input.jpg");
  for (const [name, value] of Object.entries(fields)) body.append(name, String(value));
  body.append("strength", form.elements.strength.value);
  body.append("fit", form.elements.fit.value);
  return ["v1/images/edits", { method: "POST", body, signal }];
}

/** The description of an order in the gallery. */
export function factsOf({ prompt, n, size, steps, guidance_scale: scale }) {
  const facts = [counted(steps, "step"), `guidance ${scale}`];
  return { prompt, n, aspect: aspectOf(size), facts: facts.join(" · ") };
}

/** The size of an image as text. */
export async function pixelsOf(file) {
  const image = await createImageBitmap(file);
  const { width, height } = image;
  image.close();
  return ` of ${width} × ${height} pixels`;
}

/** Saves all images of an order in one file. */
export async function downloadAll(pictures) {
  if (!pictures.length) return;
  const files = await Promise.all(pictures.map(async (picture, index) => ({
    name: `${String(index + 1).padStart(3, "0")}-${nameOf(picture)}`,
    bytes: new Uint8Array(await picture.file.arrayBuffer()),
  })));
  download(zip(files), `${fileName(pictures[0].prompt)}.zip`);
}
