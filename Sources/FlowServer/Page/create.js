// Create: type, and pictures follow.

import {
  aspectOf, byId, counted, debounced, fill, randomSeed, say, sayInForm, seedOf, sizes,
} from "./elements.js";
import { fileOf, Gallery, startViewer } from "./gallery.js";
import { remember, startHistory } from "./history.js";
import { events, found, pause, send, sentence, ServerError } from "./server.js";

const form = byId("order");
const prompt = byId("prompt");
const field = (name) => form.elements[name];
const gallery = new Gallery(byId("gallery"));

let models = [];
let changed = new Set();  // The fields that a person set, which a model's own values leave alone.
let input = null;         // The picture that pictures start from.
let running = null;       // The abort controller of the order under way.
let isLocked = false;

const loadingText = "The model is loading.";

const follow = debounced(300, () => make({ isTyped: true }));

// MARK: - Models

const model = () => models.find(({ id }) => id === field("model").value)?.streamflow;

/** Takes the models that the server offers. */
export function offer(all) {
  models = all;
  const before = field("model").value;
  fill(field("model"), all.map(({ id }) => [id]));
  if (field("model").value !== before) suit();
  const { state, reason } = model() ?? {};
  if (running) return;
  if (state === "failed") refuse(new ServerError(sentence(reason ?? "The model could not be loaded")));
  const isWaiting = byId("order-progress").textContent === loadingText;
  if (state === "loading" || isWaiting) progress(state === "loading" ? loadingText : "");
}

/** Says why there are no models. */
export function refuse(error) { say(byId("order-error"), error.message); }

// Brings the fields to what suits the model.
function suit() {
  const chosen = model();
  if (!chosen) return;
  for (const [name, value] of [["steps", chosen.steps], ["guidance_scale", chosen.guidance_scale]]) {
    if (value !== undefined && !changed.has(name)) field(name).value = value;
  }
  field("n").max = chosen.max_n ?? 16;
  field("steps").max = chosen.max_steps ?? 100;
  fill(field("size"), [...sizes(chosen), ["custom", "Other …"]]);
  if (!changed.has("size")) field("size").selectedIndex = 0;
  byId("custom-size").hidden = field("size").value !== "custom";
  form.querySelector("label[for=input-file]").hidden = chosen.can_edit === false;
  byId("viewer-input").hidden = chosen.can_edit === false;
  summarize();
}

// MARK: - Settings

const size = () => field("size").value === "custom"
  ? byId("custom-size").value.trim().replace("×", "x") : field("size").value || "auto";

function settings() {
  return {
    prompt: prompt.value.trim(), n: Number(field("n").value), size: size(),
    steps: Number(field("steps").value), guidance_scale: Number(field("guidance_scale").value),
    seed: seedOf(field("seed")), model: field("model").value, guidance: field("guidance").value,
    schedule: field("schedule").value, negative_prompt: field("negative_prompt").value.trim(),
    hasInput: input !== null,
  };
}

// What is wrong with a field before the server has to say it.
function mistake() {
  for (const { name, type, min, max, step, validity, value, labels } of form.elements) {
    if (type !== "number" || (validity.valid && value !== "")) continue;
    const kind = step === "1" ? "a whole number" : "a number";
    return new ServerError(`${labels[0].textContent} must be ${kind} from ${min} to ${max}.`, { parameter: name });
  }
  if (seedOf(field("seed")) === null) {
    return new ServerError("The seed must be a whole number, at most 9007199254740991.", { parameter: "seed" });
  }
  if (!/^(\d+x\d+|auto)$/.test(size())) {
    return new ServerError("The size must be width x height, such as 64x64.", { parameter: "size" });
  }
  return null;
}

function summarize() {
  const { n, size, steps, guidance_scale: scale, seed } = settings();
  byId("settings-summary").textContent = [
    counted(n, "picture"), size.replace("x", " × "), counted(steps, "step"), `guidance ${scale}`,
    isLocked ? `seed ${seed}` : "new seed each time",
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
 * Makes pictures of what the form says, in the place of those under way.
 *
 * @param {{isTyped: boolean}} how whether it was made while typing
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

// Sends an order, again where the server is busy or away, until it is made.
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
  const facts = [
    order.size.replace("x", " × "), counted(order.steps, "step"), `guidance ${order.guidance_scale}`,
  ];
  gallery.expect({ prompt: order.prompt, n: order.n, aspect: aspectOf(order.size), facts: facts.join(" · ") });
  progress(`Making ${counted(order.n, "picture")}.`);
  const begin = performance.now();
  const partials = Math.min(Number(field("partial_images").value), order.steps - 1);
  const response = await send(...request(order, partials, signal));
  const files = [];
  let ended = 0;
  for await (const event of events(response, signal)) {
    if (signal.aborted) return;
    if (event.type.endsWith(".partial_image")) {
      const done = (event.partial_image_index + 1) / (partials + 1);
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
      files[event.index] = file;
      gallery.finish(event.index, file, event.seed);
    }
    if (ended < order.n) progress(`Making ${counted(order.n, "picture")}, ${ended} done.`);
  }
  if (signal.aborted) return;
  if (ended < order.n) {
    throw new ServerError("The server ended before all pictures were made.", { status: 503, retryAfter: 1 });
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const made = files.filter(Boolean);
  const failed = made.length < order.n ? `, ${order.n - made.length} failed` : "";
  progress(`${counted(made.length, "picture")} in ${seconds} s${failed}.`);
  if (made.length) await remember(order, made, isTyped);
}

// The request of an order: JSON, or a form where there is an input picture.
function request(order, partials, signal) {
  const { hasInput, ...fields } = order;
  for (const name of ["model", "guidance", "schedule", "negative_prompt"]) {
    if (!fields[name]) delete fields[name];
  }
  Object.assign(fields, { stream: true, partial_images: partials, output_format: "png" });
  if (!hasInput) return ["v1/images/generations", { method: "POST", json: fields, signal }];
  const body = new FormData();
  body.append("image", input.file, input.file.type === "image/png" ? "input.png" : "input.jpg");
  for (const [name, value] of Object.entries(fields)) body.append(name, String(value));
  body.append("strength", field("strength").value);
  body.append("fit", field("fit").value);
  return ["v1/images/edits", { method: "POST", body, signal }];
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

// MARK: - The input picture

const largestInput = 2048;

/** Takes a picture to start from; null takes it away. */
async function startFrom(file) {
  if (input) URL.revokeObjectURL(input.url);
  input = null;
  try {
    if (file) {
      input = { file: await readable(file) };
      input.url = URL.createObjectURL(input.file);
      byId("input-thumbnail").src = input.url;
    }
    sayInForm(form, byId("order-error"), null);
  } catch {
    say(byId("order-error"), "That file is not a picture this browser can read; choose a PNG or JPEG file.");
  }
  byId("input-picture").hidden = !input;
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

async function use(file) {
  await startFrom(file);
  prompt.focus();
  if (input) make();
}

function showStrength() { byId("order-strength-value").value = Number(field("strength").value).toFixed(2); }

// MARK: - Beginning

function restore(past) {
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
  make();
}

function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

/** Readies the page. */
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
  takeDropped(document.querySelector(".composer"));
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

function takeDropped(composer) {
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

/** Shows the page. */
export function show() {
  if (matchMedia("(pointer: fine)").matches) prompt.focus();
}
