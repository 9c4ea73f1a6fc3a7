// Orders on their way: requests, events, and trying again.

import { byId, counted, say } from "./elements.js";
import { fileOf } from "./gallery.js";
import { remember } from "./history.js";
import { factsOf, pixelsOf, requestOf } from "./order.js";
import { OrderProgress } from "./progress.js";
import { showWarnings } from "./prompts.js";
import { events, found, pause, send, sentence, ServerError } from "./server.js";

/** Shows the progress of the orders. */
export function progress(text) { byId("order-progress").textContent = text; }

/**
 * An order: its settings and images, its prompts, and how it is shown.
 *
 * @typedef {{settings: object, parts: object, variants: object[], previews: number, isTyped: boolean}} Order
 */

/** Makes the images of an order, and repeats it while the server is busy or unreachable. */
export async function fulfil(order, gallery, signal) {
  for (;;) {
    try {
      await receive(order, gallery, signal);
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      if (error.code === "connection_lost") {
        progress("Waiting for the server.");
        await found();
      } else if (error.passes && error.code !== "model_unavailable") {
        const wait = Math.min(error.retryAfter ?? 2, 30);
        say(byId("order-error"), `${error.message} Trying again in ${wait} s.`);
        await pause(wait);
      } else {
        throw error;
      }
      if (signal.aborted) throw error;
      say(byId("order-error"), null);
    }
  }
}

async function receive(order, gallery, signal) {
  const { settings, parts, variants, isTyped } = order;
  const facts = factsOf(settings, variants);
  gallery.expect({ ...facts, source: { settings, parts } });
  const meter = new OrderProgress({ ...settings, n: facts.n });
  // Where one request fails, the others end with it.
  const all = new AbortController();
  const images = [];
  const begin = performance.now();
  try {
    const warnings = [];
    await Promise.all(variants.map(({ prompt }, index) => take(
      { ...settings, prompt }, order, AbortSignal.any([signal, all.signal]),
      { meter, gallery, images, warnings, first: index * settings.n })));
  } catch (error) {
    all.abort();
    throw error;
  } finally {
    meter.end();
  }
  if (signal.aborted) return;
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const made = images.filter(Boolean);
  const failed = made.length < facts.n ? `, ${facts.n - made.length} failed` : "";
  const pixels = made.length ? await pixelsOf(made[0].file) : "";
  if (signal.aborted) return;
  progress(`${counted(made.length, "image")}${pixels} in ${seconds} s${failed}.`);
  byId("download-all").hidden = made.length < 2;
  if (made.length) await remember(settings, parts, made, isTyped);
}

// Receives the events of one request until it is finished.
async function take(settings, { parts, previews }, signal, { meter, gallery, images, warnings, first }) {
  const partials = Math.max(0, Math.min(previews, settings.steps - 1));
  const response = await send(...requestOf(settings, parts, { stream: true, partial_images: partials }, signal));
  let ended = 0;
  for await (const event of events(response, signal)) {
    if (signal.aborted) return;
    if (event.warnings) {
      warnings.push(...event.warnings.filter(({ code }) => code !== "partial_images_reduced"));
      showWarnings(byId("order-warnings"), warnings);
    }
    const index = first + event.index;
    if (event.type.endsWith(".partial_image")) {
      const done = (event.partial_image_index + 1) / (partials + 1);
      meter.advance(index, done);
      gallery.preview(index, fileOf(event.b64_json, event.output_format), done);
      continue;
    }
    ended += 1;
    if (event.type === "error") {
      const failure = sentence(event.error.message);
      if (event.index == null) throw new ServerError(failure, { code: event.error.code, parameter: event.error.param });
      gallery.fail(index, failure);
    } else {
      const file = fileOf(event.b64_json, event.output_format);
      images[index] = { file, seed: event.seed };
      gallery.finish(index, file, event.seed);
    }
    if (event.index != null) meter.finish(index);
  }
  if (signal.aborted || ended >= settings.n) return;
  throw new ServerError("The server stopped before all images were finished.", { status: 503, retryAfter: 1 });
}

/**
 * Makes one finished image again, larger.
 *
 * @param {{source: {settings: object, parts: object}, seed: number, variant: object}} picture
 * @param {number} factor 2 or 4
 * @returns {Promise<Blob>} the file
 */
export async function enlarged({ source, seed, prompt }, factor) {
  const settings = { ...source.settings, prompt, seed, n: 1 };
  const response = await send(...requestOf(settings, source.parts, { upscale: factor }));
  const { data, output_format: format } = await response.json();
  return fileOf(data[0].b64_json, format);
}
