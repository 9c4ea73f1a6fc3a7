// The requests of orders, and all images of an order in one file.

import { aspectOf, counted, download, fileName } from "./elements.js";
import { columnsOf } from "./matrix.js";
import { nameOf } from "./viewer.js";
import { zip } from "./zip.js";

const optional = ["model", "guidance", "schedule", "solver", "negative_prompt", "seed_blend", "method", "source_prompt", "upscale"];

/**
 * The arguments of `send` for an order: JSON, or a form if there is an input image.
 *
 * @param {object} order its settings, by the server's names
 * @param {{input: ?Blob, mask: ?Blob, controls: object[]}} parts its images
 * @param {object} more further fields, such as `stream`
 * @param {AbortSignal} signal
 */
export function requestOf({ hasInput, hasControls, ...order }, { input, mask, controls }, more, signal) {
  const fields = { ...order, output_format: "png", ...more };
  for (const name of optional) if (!fields[name]) delete fields[name];
  if (fields.upscale) fields.upscale = Number(fields.upscale);
  if (controls.length) fields.controls = controls;
  if (!input) {
    for (const name of ["strength", "fit", "method", "source_prompt"]) delete fields[name];
    return ["v1/images/generations", { method: "POST", json: fields, signal }];
  }
  const body = new FormData();
  body.append("image", input, input.type === "image/png" ? "input.png" : "input.jpg");
  if (mask) body.append("mask", mask, "mask.png");
  for (const [name, value] of Object.entries(fields)) {
    body.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return ["v1/images/edits", { method: "POST", body, signal }];
}

/**
 * The description of an order in the gallery.
 *
 * @param {object} order
 * @param {{prompt: string, label: string}[]} variants its prompts, with as many images each
 */
export function factsOf(order, variants = [{ prompt: order.prompt, label: "" }]) {
  const { n, size, steps, guidance_scale: scale, seed_blend: blend, method } = order;
  const facts = [counted(steps, "step"), `guidance ${scale}`];
  if (blend) facts.push(`variation of seed ${blend.seed}`);
  if (order.hasInput) facts.push(method || "from an image");
  const columns = columnsOf(order.prompt) * n;
  return {
    prompt: order.prompt, n: n * variants.length, aspect: aspectOf(size), facts: facts.join(" · "), columns,
    prompts: variants.flatMap((variant) => Array(n).fill(variant)),
  };
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
