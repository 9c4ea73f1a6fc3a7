// Create: generates images while the user types.

import { Controls } from "./controls.js";
import {
  byId, counted, debounced, fill, isTouched, randomSeed, say, sayInForm, seedOf, sizes,
} from "./elements.js";
import { Gallery } from "./gallery.js";
import { startHistory } from "./history.js";
import { inputFile, maskFile, startFrom, startMask } from "./input.js";
import { fulfil, progress } from "./making.js";
import { alternatives } from "./matrix.js";
import { mistakeIn, readsSource } from "./mistakes.js";
import { downloadAll, factsOf } from "./order.js";
import { noParts, startLike } from "./parts.js";
import { offerSurprise, promptsOf, showWarnings, startSurprise, wake } from "./prompts.js";
import { sentence, ServerError } from "./server.js";
import { seedBlend, showVariation, vary } from "./variation.js";
import { startViewer } from "./viewer.js";

const form = byId("order");
const prompt = byId("prompt");
const field = (name) => form.elements[name];
const gallery = new Gallery(byId("gallery"));

let models = [];
let changed = new Set();  // The fields that the user set, which a model's defaults do not replace.
let running = null;       // The abort controller of the order in progress.
let isLocked = false;
let suited = null;        // The model state for which the fields were initialized.
let actions = 0;          // What the user asked for; what waits for an earlier one ends.

const loadingText = "The model is loading.";

const follow = debounced(300, () => make({ isTyped: true }));
const controls = new Controls(byId("adapters"), "The input image", () => follow());

// How many references each model reads. A model that is not loaded does not tell.
const references = new Map();

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
  if (chosen.state === "ready" && !changed.has("upscale")) field("upscale").value = chosen.upscale ?? "";
  field("n").max = chosen.max_n ?? 16;
  field("steps").max = chosen.max_steps ?? 100;
  offerSizes(chosen);
  byId("custom-size").hidden = field("size").value !== "custom";
  form.querySelector("label[for=input-file]").hidden = chosen.can_edit === false;
  byId("viewer-input").hidden = chosen.can_edit === false;
  controls.offer(chosen.adapters);
  if (chosen.state === "ready") references.set(field("model").value, chosen.max_references ?? 0);
  suitMethod();
  summarize();
  suitPrompts(chosen);
}

function offerSizes(chosen, only) {
  fill(field("size"), [...sizes(chosen, only), ["custom", "Other …"]]);
  if (chosen.width) byId("custom-size").placeholder = `${chosen.width}x${chosen.height}`;
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
    schedule: field("schedule").value, solver: field("solver").value, upscale: field("upscale").value,
    negative_prompt: field("negative_prompt").value.trim(), hasInput: inputFile() !== null,
    hasControls: controls.values.length > 0, ...inputFile() ? edit() : {}, ...seedBlend(),
  };
}

// How the input image is edited. A method has a strength of its own, unless the user set one.
function edit() {
  const method = field("method").value;
  if (isInstruction()) return { method };
  return {
    method, fit: field("fit").value,
    source_prompt: readsSource.has(method) ? field("source_prompt").value.trim() : "",
    ...hasOwnStrength() ? {} : { strength: Number(field("strength").value) },
  };
}

const hasOwnStrength = () => field("method").value !== "" && !changed.has("strength");

// Whether the prompt is an instruction; the network reads the whole input image then.
const isInstruction = () => field("method").value === "instruct";

const parts = () => ({ input: inputFile(), mask: isInstruction() ? null : maskFile(), controls: controls.values });

function summarize() {
  const { n, size, steps, guidance_scale: scale, seed } = settings();
  const count = alternatives(prompt.value).length;
  byId("settings-summary").textContent = [
    count > 1 ? `${count} prompts, ${counted(n, "image")} each` : counted(n, "image"), size.replace("x", " × "), counted(steps, "step"), `guidance ${scale}`,
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

/**
 * Generates images from the form, in place of those in progress.
 *
 * @param {{isTyped: boolean}} how whether it was started while typing
 */
async function make({ isTyped = false } = {}) {
  follow.cancel();
  running?.abort();
  running = null;
  actions += 1;
  const wrong = prompt.value.trim() ? mistakeIn(form, settings()) : null;
  sayInForm(form, byId("order-error"), wrong);
  if (wrong || !prompt.value.trim()) return stop("");
  if (!isLocked) field("seed").value = randomSeed();
  summarize();
  const order = {
    settings: settings(), parts: parts(), variants: alternatives(prompt.value.trim()),
    previews: Number(field("partial_images").value), isTyped,
  };
  const controller = running = new AbortController();
  showWarnings(byId("order-warnings"), []);
  byId("download-all").hidden = true;
  byId("stop").hidden = false;
  byId("suggestions").hidden = true;
  form.dataset.busy = "true";
  try {
    await fulfil(order, gallery, controller.signal);
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
  const mine = ++actions;
  await startFrom(file);
  if (mine !== actions) return;
  suitStrength();
  suitMethod();
  prompt.focus();
  if (inputFile()) make();
}

function showEdit() {
  byId("order-strength-value").value = hasOwnStrength() ? "auto" : Number(field("strength").value).toFixed(2);
  byId("source-prompt-field").hidden = !readsSource.has(field("method").value);
  for (const id of ["strength-field", "fit-field", "mask-thumbnail"]) byId(id).hidden = isInstruction();
  byId("input-mask").setAttribute("aria-pressed", parts().mask !== null);
}

// A mask protects the rest, so that more of what it covers may change.
function suitStrength() {
  if (!changed.has("strength")) field("strength").value = maskFile() ? 0.75 : 0.6;
}

// A model that reads references is instructed, unless a mask or the user asks for another method.
function suitMethod() {
  const method = field("method");
  const canInstruct = references.get(field("model").value) > 0;
  const option = method.querySelector("[value=instruct]");
  option.hidden = option.disabled = !canInstruct;
  if (isInstruction() && !canInstruct) changed.delete("method");
  if (!changed.has("method") && ["", "instruct"].includes(method.value)) {
    method.value = canInstruct && inputFile() && !maskFile() ? "instruct" : "";
  }
  showEdit();
}

function suitMask(hasMask) {
  if (hasMask && isInstruction()) changed.delete("method");
  suitStrength();
  suitMethod();
  make();
}

// MARK: - Setup

// Sets the fields to those of an earlier order.
function apply({ model: name, hasInput, hasControls, seed_blend: blend, ...values }) {
  if (models.some(({ id }) => id === name)) field("model").value = name;
  suit();
  for (const [key, value] of Object.entries(values)) {
    if (field(key)) field(key).value = value;
    changed.add(key);
  }
  // An order without a strength had that of its method.
  if (!("strength" in values)) changed.delete("strength");
  if (field("size").value !== values.size) {
    field("size").value = "custom";
    byId("custom-size").value = values.size;
  }
  byId("custom-size").hidden = field("size").value !== "custom";
  vary(blend?.seed ?? null, blend?.fraction);
  grow();
  suitMethod();
}

async function restore(past, loading) {
  stop("");
  const mine = ++actions;
  const stored = await loading;
  if (mine !== actions) return;
  apply({ upscale: "", ...past });
  lock(true);
  prompt.focus();
  scrollTo({ top: 0 });
  // Where the browser does not store images, those that the order started from are missing.
  const parts = stored?.parts ?? (past.hasInput || past.hasControls ? null : noParts);
  let missing = await startLike(parts ?? noParts, controls);
  if (!parts) missing = "The images that this order started from are not stored; choose them again.";
  if (mine !== actions) return;
  suitMethod();
  if (!stored) return missing ? progress(missing) : make();
  const { images } = stored;
  const variants = alternatives(past.prompt);
  const isWhole = images.length === variants.length * past.n;
  const facts = factsOf(past, isWhole ? variants : undefined);
  const source = missing ? null : { settings: settings(), parts };
  gallery.restore({ ...facts, n: images.length, source, upscale: past.upscale }, images);
  byId("suggestions").hidden = true;
  byId("download-all").hidden = images.length < 2;
  progress([`${counted(images.length, "image")} from the history.`, missing].filter(Boolean).join(" "));
}

// Varies an image; a variation has the base of the one that it varies.
async function varied({ source, seed, prompt: text }) {
  const { settings: { seed_blend: blend, ...own }, parts } = source;
  const mine = ++actions;
  apply({ ...own, prompt: text });
  const missing = await startLike(parts, controls);
  if (mine !== actions) return;
  if (missing) return progress(missing);
  vary(blend?.seed ?? seed, blend?.fraction ?? null);
  lock(false);
  make();
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
      field("upscale").value = "";
      suit();
      if (model()?.state === "unloaded") wake(target.value);
    }
    if (target === field("seed")) lock(true);
    byId("custom-size").hidden = field("size").value !== "custom";
    if (target === field("size") && target.value === "custom") return byId("custom-size").focus();
    grow();
    summarize();
    showEdit();
    showVariation();
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
  startMask(suitMask);
  byId("variation-remove").addEventListener("click", () => {
    vary(null);
    make();
  });
  byId("input-file").addEventListener("change", ({ target }) => target.files[0] && use(target.files[0]));
  byId("suggestions").addEventListener("click", ({ target }) => {
    if (!target.matches(".chip")) return;
    prompt.value = target.textContent;
    grow();
    prompt.focus();
    make();
  });
  startViewer({
    use: (picture) => use(picture.file),
    keep: (picture) => {
      field("seed").value = picture.seed;
      byId("settings").open = true;
      lock(true);
      byId("seed").focus();
    },
    vary: varied,
  });
  startHistory(restore);
  field("seed").value = randomSeed();
  suitMethod();
  showVariation();
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
