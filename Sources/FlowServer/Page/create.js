// Create: generates images while the user types.

import {
  byId, counted, debounced, fill, isTouched, randomSeed, say, sayInForm, seedOf, sizes,
} from "./elements.js";
import { fileOf, Gallery, startViewer } from "./gallery.js";
import { remember, startHistory } from "./history.js";
import { inputFile, startFrom, takeDropped } from "./input.js";
import { downloadAll, factsOf, pixelsOf, requestOf } from "./order.js";
import { OrderProgress } from "./progress.js";
import { offerSurprise, promptsOf, showWarnings, startSurprise } from "./prompts.js";
import { events, found, pause, send, sentence, ServerError } from "./server.js";

const form = byId("order");
const prompt = byId("prompt");
const field = (name) => form.elements[name];
const gallery = new Gallery(byId("gallery"));

let models = [];
let changed = new Set();  // The fields that the user set, which a model's defaults do not replace.
let running = null;       // The abort controller of the order in progress.
let isLocked = false;
let suited = null;        // The model state for which the fields were initialized.

const loadingText = "The model is loading.";

const follow = debounced(300, () => make({ isTyped: true }));

// MARK: - Models

const model = () => models.find(({ id }) => id === field("model").value)?.streamflow;

/** Updates the models that the server offers. */
export function offer(all) {
  models = all;
  const before = field("model").value;
  fill(field("model"), all.map(({ id }) => [id]));
  if (field("model").value !== before || model()?.state !== suited) suit();
  const { state, reason } = model() ?? {};
  if (running) return;
  if (state === "failed") refuse(new ServerError(sentence(reason ?? "The model could not be loaded")));
  const isWaiting = byId("order-progress").textContent === loadingText;
  if (state === "loading" || isWaiting) progress(state === "loading" ? loadingText : "");
}

/** Shows why there are no models. */
export function refuse(error) { say(byId("order-error"), error.message); }

// Sets the fields to the model's defaults.
function suit() {
  const chosen = model();
  if (!chosen) return;
  suited = chosen.state;
  for (const [name, value] of [["steps", chosen.steps], ["guidance_scale", chosen.guidance_scale]]) {
    if (value !== undefined && !changed.has(name)) field(name).value = value;
  }
  field("n").max = chosen.max_n ?? 16;
  field("steps").max = chosen.max_steps ?? 100;
  offerSizes(chosen);
  byId("custom-size").hidden = field("size").value !== "custom";
  form.querySelector("label[for=input-file]").hidden = chosen.can_edit === false;
  byId("viewer-input").hidden = chosen.can_edit === false;
  summarize();
  suitPrompts(chosen);
}

function offerSizes(chosen, only) {
  fill(field("size"), [...sizes(chosen, only), ["custom", "Other …"]]);
  if (!changed.has("size")) field("size").selectedIndex = 0;
}

// Available only from a loaded model.
async function suitPrompts(chosen) {
  if (chosen.state !== "ready") return;
  const name = field("model").value;
  offerSurprise(name);
  const prompts = await promptsOf(name);
  if (prompts && field("model").value === name) offerSizes(chosen, prompts.sizes);
}

// MARK: - Settings

const size = () => field("size").value === "custom"
  ? byId("custom-size").value.trim().replace("×", "x") : field("size").value || "auto";

function settings() {
  return {
    prompt: prompt.value.trim(), n: Number(field("n").value), size: size(),
    steps: Number(field("steps").value), guidance_scale: Number(field("guidance_scale").value),
    seed: seedOf(field("seed")), model: field("model").value, guidance: field("guidance").value,
    schedule: field("schedule").value, solver: field("solver").value,
    negative_prompt: field("negative_prompt").value.trim(),
    hasInput: inputFile() !== null,
  };
}

// Validates a field before the server does.
function mistake() {
  for (const { name, type, min, max, step, validity, value, labels } of form.elements) {
    if (type !== "number" || (validity.valid && value !== "")) continue;
    const kind = step === "1" ? "an integer" : "a number";
    return new ServerError(`${labels[0].textContent} must be ${kind} from ${min} to ${max}.`, { parameter: name });
  }
  if (seedOf(field("seed")) === null) {
    return new ServerError("The seed must be an integer of at most 9007199254740991.", { parameter: "seed" });
  }
  if (!/^(\d+x\d+|auto)$/.test(size())) {
    return new ServerError("The size must be width x height, such as 64x64.", { parameter: "size" });
  }
  return null;
}

function summarize() {
  const { n, size, steps, guidance_scale: scale, seed } = settings();
  byId("settings-summary").textContent = [
    counted(n, "image"), size.replace("x", " × "), counted(steps, "step"), `guidance ${scale}`,
    isLocked ? `seed ${seed}` : "random seed",
  ].join(" · ");
}

function lock(isOn) {
  isLocked = isOn;
  byId("seed-lock").setAttribute("aria-pressed", isOn);
  byId("seed-lock-icon").setAttribute("href", isOn ? "#icon-locked" : "#icon-unlocked");
  summarize();
}

// MARK: - Orders

function progress(text) { byId("order-progress").textContent = text; }

/**
 * Generates images from the form, in place of those in progress.
 *
 * @param {{isTyped: boolean}} how whether it was started while typing
 */
async function make({ isTyped = false } = {}) {
  follow.cancel();
  running?.abort();
  running = null;
  const wrong = prompt.value.trim() ? mistake() : null;
  sayInForm(form, byId("order-error"), wrong);
  if (wrong || !prompt.value.trim()) return stop("");
  if (!isLocked) field("seed").value = randomSeed();
  summarize();
  const order = settings();
  const controller = running = new AbortController();
  showWarnings(byId("order-warnings"), []);
  byId("download-all").hidden = true;
  byId("stop").hidden = false;
  byId("suggestions").hidden = true;
  form.dataset.busy = "true";
  try {
    await fulfil(order, controller.signal, isTyped);
  } catch (error) {
    if (controller.signal.aborted) return;
    if (!(error instanceof ServerError)) console.error(error);
    sayInForm(form, byId("order-error"), error);
    stop("");
  }
  if (running === controller) {
    running = null;
    byId("stop").hidden = true;
    delete form.dataset.busy;
  }
}

// Sends an order, and repeats it while the server is busy or unreachable.
async function fulfil(order, signal, isTyped) {
  for (;;) {
    try {
      await receive(order, signal, isTyped);
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

async function receive(order, signal, isTyped) {
  gallery.expect(factsOf(order));
  const meter = new OrderProgress(order);
  try {
    await take(order, signal, isTyped, meter);
  } finally {
    meter.end();
  }
}

// Receives the events of an order until it is finished.
async function take(order, signal, isTyped, meter) {
  const begin = performance.now();
  const partials = Math.min(Number(field("partial_images").value), order.steps - 1);
  const response = await send(...requestOf(order, form, partials, signal));
  const images = [];
  const warnings = [];
  let ended = 0;
  for await (const event of events(response, signal)) {
    if (signal.aborted) return;
    if (event.warnings) {
      warnings.push(...event.warnings.filter(({ code }) => code !== "partial_images_reduced"));
      showWarnings(byId("order-warnings"), warnings);
    }
    if (event.type.endsWith(".partial_image")) {
      const done = (event.partial_image_index + 1) / (partials + 1);
      meter.advance(event.index, done);
      gallery.preview(event.index, fileOf(event.b64_json, event.output_format), done);
      continue;
    }
    ended += 1;
    if (event.type === "error") {
      const failure = sentence(event.error.message);
      if (event.index == null) throw new ServerError(failure, { code: event.error.code, parameter: event.error.param });
      gallery.fail(event.index, failure);
    } else {
      const file = fileOf(event.b64_json, event.output_format);
      images[event.index] = { file, seed: event.seed };
      gallery.finish(event.index, file, event.seed);
    }
    if (event.index != null) meter.finish(event.index);
  }
  if (signal.aborted) return;
  if (ended < order.n) {
    throw new ServerError("The server stopped before all images were finished.", { status: 503, retryAfter: 1 });
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const made = images.filter(Boolean);
  const failed = made.length < order.n ? `, ${order.n - made.length} failed` : "";
  const pixels = made.length ? await pixelsOf(made[0].file) : "";
  if (signal.aborted) return;
  progress(`${counted(made.length, "image")}${pixels} in ${seconds} s${failed}.`);
  byId("download-all").hidden = made.length < 2;
  if (made.length) await remember(order, made, isTyped);
}

function stop(message) {
  follow.cancel();
  running?.abort();
  running = null;
  gallery.settle();
  progress(message);
  byId("stop").hidden = true;
  byId("suggestions").hidden = byId("gallery").children.length > 0;
  delete form.dataset.busy;
}

// MARK: - The input image

/** Sets the input image, and starts. */
export async function use(file) {
  await startFrom(file);
  prompt.focus();
  if (inputFile()) make();
}

function showStrength() { byId("order-strength-value").value = Number(field("strength").value).toFixed(2); }

// MARK: - Setup

function restore(past, images) {
  const { model: name, hasInput, ...values } = past;
  if (models.some(({ id }) => id === name)) field("model").value = name;
  suit();
  for (const [key, value] of Object.entries(values)) {
    if (field(key)) field(key).value = value;
    changed.add(key);
  }
  if (field("size").value !== values.size) {
    field("size").value = "custom";
    byId("custom-size").value = values.size;
  }
  byId("custom-size").hidden = field("size").value !== "custom";
  grow();
  lock(true);
  prompt.focus();
  scrollTo({ top: 0 });
  if (!images) return make();
  stop("");
  gallery.restore(factsOf(settings()), images);
  byId("suggestions").hidden = true;
  byId("download-all").hidden = images.length < 2;
  progress(`${counted(images.length, "image")} from the history.`);
}

function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

/** Sets up the page. */
export function start() {
  byId("settings").open = matchMedia("(min-width: 761px)").matches;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    make();
  });
  form.addEventListener("input", ({ target }) => {
    if (target.type === "file") return;
    changed.add(target.name || "size");
    if (target === field("model")) {
      changed = new Set();
      suit();
    }
    if (target === field("seed")) lock(true);
    byId("custom-size").hidden = field("size").value !== "custom";
    if (target === field("size") && target.value === "custom") return byId("custom-size").focus();
    grow();
    summarize();
    showStrength();
    follow();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    make();
  });
  byId("stop").addEventListener("click", () => {
    stop("Stopped.");
    prompt.focus();
  });
  byId("download-all").addEventListener("click", () => downloadAll(gallery.pictures));
  startSurprise(() => field("model").value, (text) => {
    prompt.value = text;
    grow();
    prompt.focus();
    make();
  });
  byId("seed-lock").addEventListener("click", () => lock(!isLocked));
  byId("input-remove").addEventListener("click", () => use(null).then(() => make()));
  byId("input-file").addEventListener("change", ({ target }) => target.files[0] && use(target.files[0]));
  byId("suggestions").addEventListener("click", ({ target }) => {
    if (!target.matches(".chip")) return;
    prompt.value = target.textContent;
    grow();
    prompt.focus();
    make();
  });
  takeDropped(document.querySelector(".composer"), use);
  startViewer({
    use: (picture) => use(picture.file),
    keep: (picture) => {
      field("seed").value = picture.seed;
      byId("settings").open = true;
      lock(true);
      byId("seed").focus();
    },
  });
  startHistory(restore);
  field("seed").value = randomSeed();
  showStrength();
  summarize();
}

/** Shows the page. */
export function show() {
  if (!isTouched()) prompt.focus();
}

/** Stops the order in progress. */
export function escape() {
  if (running) stop("Stopped.");
}
