// Live: input from a drawing, a file, the screen or a camera; images out; adjustable settings.

import { Controls } from "./controls.js";
import {
  byId, debounced, fill, isTouched, randomSeed, say, sayInForm, seedOf, sizes,
} from "./elements.js";
import { LiveMask } from "./livemask.js";
import { showPicture, startOutput, stopRecording } from "./output.js";
import { promptsOf, showWarnings, wake } from "./prompts.js";
import { LiveSocket, sentence, ServerError } from "./server.js";
import { Drawing, Media, photographed } from "./sources.js";

const form = byId("live");
const field = (name) => form.elements[name];

let models = [];
let stream = null;
let rowCount = 0;
let isEncoding = false;
let drawingVersion = 0;     // Counts changes of the drawing,
let wantedVersion = 0;      // changes of the settings,
let sent = "";              // and the versions that were sent last.
let hasBlended = false;
let suited = null;          // The model state for which the fields were initialized.

const drawing = new Drawing(() => {
  drawingVersion += 1;
  if (stream) pump();
  else begin();
});
const media = new Media(() => {
  end("Sharing has ended.");
  say(byId("source-error"), "Sharing has ended; share again to continue.");
});

const mask = new LiveMask(() => change("mask"));
const slide = debounced(100, () => change("controls"));
const controls = new Controls(byId("live-adapters"), "Each frame", (isSliding) => isSliding ? slide() : change("controls"));

const source = () => field("source").value;

// MARK: - Settings

const model = () => models.find(({ id }) => id === field("model").value)?.streamflow;

/** Updates the models that the server offers. */
export function offer(all) {
  models = all.filter(({ streamflow }) => streamflow.can_edit !== false);
  const before = field("model").value;
  fill(field("model"), models.map(({ id }) => [id]));
  if (field("model").value !== before || model()?.state !== suited) suit();
}

function suit() {
  const chosen = model();
  if (!chosen) return;
  suited = chosen.state;
  field("guidance_scale").value = chosen.guidance_scale ?? 1;
  field("steps").value = Math.min(chosen.steps ?? 4, 4);
  fill(field("size"), sizes(chosen));
  field("size").selectedIndex = 0;
  controls.offer(chosen.adapters);
  showValues();
  suitSizes(chosen);
}

async function suitSizes(chosen) {
  const name = field("model").value;
  const prompts = chosen.state === "ready" ? await promptsOf(name) : null;
  if (prompts && field("model").value === name) fill(field("size"), sizes(chosen, prompts.sizes));
}

// The settings in the form, by the server's names.
const readings = {
  prompt: () => field("prompt").value.trim(),
  negative_prompt: () => field("negative_prompt").value.trim(),
  strength: () => Number(field("strength").value),
  steps: () => Number(field("steps").value),
  guidance: () => {
    const { value, options } = field("guidance");
    const own = model()?.guidance;
    return value || ([...options].some((option) => option.value === own) ? own : undefined);
  },
  guidance_scale: () => Number(field("guidance_scale").value),
  seed: () => seedOf(field("seed")) ?? undefined,
  seed_policy: () => field("seed_policy").value,
  size: () => field("size").value || "auto",
  fit: () => field("fit").value,
  similar: () => byId("live-filter").checked ? Number(field("similar").value) : null,
  mask: () => mask.value,
  controls: () => controls.values,
  blend: () => {
    const other = byId("live-other").value.trim();
    const weight = other ? Number(field("blend").value) : 0;
    if (weight === 0 && !hasBlended) return undefined;
    hasBlended = true;
    return [{ prompt: other || readings.prompt(), weight }];
  },
};

function settings() {
  hasBlended = false;
  keptImages.clear();
  const stages = field("stages").value;
  return {
    model: field("model").value || undefined,
    stages: stages === "auto" ? stages : Number(stages),
    output_format: "jpeg",
    ...Object.fromEntries(Object.entries(readings).map(([name, read]) => [name, read()])),
  };
}

// Changes are combined for a moment, so that a slider does not flood the stream.
const waiting = new Set();
let flushing = null;

function change(name) {
  if (name === "prompt" && !readings.prompt()) return;
  waiting.add(name);
  if (name === "prompt" && hasBlended) waiting.add("blend");
  flushing ??= setTimeout(flush, 50);
}

function flush() {
  flushing = null;
  const read = [...waiting].map((name) => [name, readings[name]()]);
  const fields = Object.fromEntries(read.filter(([, value]) => value !== undefined));
  waiting.clear();
  if (!stream || Object.keys(fields).length === 0) return;
  stream.change(fields, fields.controls ? { ...fields, controls: shortened(fields.controls) } : fields);
  wantedVersion += 1;
  pump();
}

// An image and a mask that the stream has are not sent again, as for each position of a slider.
const keptImages = new Map();

// A change replaces all controls, so that only its own images stay.
function shortened(controls) {
  const before = new Map(keptImages);
  keptImages.clear();
  for (const { adapter, image, mask } of controls) if (image) keptImages.set(adapter, { image, mask });
  return controls.map(({ image, mask, ...control }) => {
    const kept = before.get(control.adapter);
    return image && kept?.image === image && kept.mask === mask
      ? { ...control, keep_image: true } : { ...control, image, mask };
  });
}

const changeSoon = debounced(150, (...names) => names.forEach(change));

function showValues() {
  for (const [name, digits] of [["strength", 2], ["guidance_scale", 1], ["steps", 0], ["blend", 2], ["similar", 3]]) {
    const shown = form.querySelector(`output[for="live-${name}"]`);
    shown.value = Number(field(name).value).toFixed(digits);
  }
  field("blend").disabled = !byId("live-other").value.trim();
  field("similar").disabled = !byId("live-filter").checked;
}

// MARK: - The stream

function begin() {
  if (stream) return;
  sayInForm(form, byId("live-error"), null);
  if (!readings.prompt()) {
    return complain(new ServerError("Enter a prompt first.", { parameter: "prompt" }));
  }
  if (seedOf(field("seed")) === null) {
    return complain(new ServerError("The seed must be an integer.", { parameter: "seed" }));
  }
  sent = "";
  stream = new LiveSocket(settings(), hear);
  showRunning();
  announce("Starting.");
  byId("output-empty").textContent = "Starting. The first image takes longer.";
}

function end(message, isLeaving = false) {
  stream?.end(isLeaving);
  stream = null;
  stopRecording();
  if (source() === "screen" || source() === "webcam") media.close();
  showRunning();
  showSource();
  announce(message ?? "Stopped.");
  for (const id of ["rate", "latency", "skipped", "rows", "gain"]) byId(`live-${id}`).textContent = "–";
}

function restart() {
  if (!stream) return;
  stream.end();
  stream = null;
  begin();
}

function showRunning() {
  byId("live-toggle").textContent = stream ? "Stop" : "Start";
  byId("live-toggle").classList.toggle("primary", !stream);
  byId("live-dot").hidden = !stream;
  if (!stream) byId("output-empty").textContent = source() === "draw" ? "Draw, or press Start." : "Press Start.";
}

function announce(text) { byId("live-progress").textContent = text; }

function complain(error) { sayInForm(form, byId("live-error"), error); }

// MARK: - Server messages

function hear(message, picture) {
  switch (message.type) {
    case "open":
      keptImages.clear();
      announce("Running.");
      say(byId("live-error"), null);
      sent = "";
      pump();
      break;
    case "frame":
      if (picture) showPicture(picture);
      if (message.outcome === "failed") say(byId("live-error"), sentence(message.message ?? "A frame failed"));
      if (byId("live-latency").textContent === "–") showLatency(message.latency_ms);
      pump();
      break;
    case "dropped":
      pump();
      break;
    case "settings":
      sayInForm(form, byId("live-error"), null);
      showWarnings(byId("live-warnings"), message.warnings);
      showRows(message);
      pump();
      break;
    case "statistics":
      byId("live-rate").textContent = (message.frames_per_second ?? 0).toFixed(1);
      byId("live-skipped").textContent = message.skipped ?? 0;
      showLatency(message.latency_ms?.p50);
      showRows(message);
      break;
    case "error":
      // The refused change may have been the one with the images.
      keptImages.clear();
      if (message.error.param?.endsWith(".keep_image")) return change("controls");
      complain(new ServerError(sentence(message.error.message), { parameter: message.error.param }));
      break;
    case "waiting":
      say(byId("live-error"), `${message.error.message} Trying again.`);
      break;
    case "failed":
      end();
      complain(message.error);
      break;
  }
}

function showLatency(milliseconds) {
  if (milliseconds != null) byId("live-latency").textContent = `${Math.round(milliseconds)} ms`;
}

function showRows({ rows, gain }) {
  if (rows != null) {
    rowCount = rows;
    byId("live-rows").textContent = rows;
  }
  if (gain != null) byId("live-gain").textContent = `${gain.toFixed(2)} ×`;
}

// MARK: - Frames

// Enough to fill the server's batch.
const mostUnanswered = () => Math.max(2, rowCount);

// Sends a frame if there is a new one and the server keeps up.
async function pump() {
  if (!stream?.isOpen || isEncoding || stream.unanswered >= mostUnanswered()) return;
  const isDrawn = source() === "draw";
  if (!isDrawn && !media.isOpen) return;
  const version = `${source()} ${isDrawn ? drawingVersion : media.version} ${wantedVersion}`;
  if (version === sent) return;
  const view = isDrawn ? { shown: drawing.canvas, width: 512, height: 512 } : media.view;
  if (!view.width) return;
  sent = version;
  isEncoding = true;
  const target = stream;
  try {
    const side = 2 * Math.max(...(/^\d+x\d+$/.exec(field("size").value)?.[0] ?? "256x256").split("x").map(Number));
    const frame = await photographed(view.shown, view.width, view.height, Math.max(side, 192));
    if (frame && target === stream) stream.offer(frame);
  } finally {
    isEncoding = false;
  }
  pump();
}

// MARK: - Sources

// For each source: the hint and the button before it is open, and the button when it is.
const hints = {
  file: ["An image, or a video that plays in a loop.", "Choose an image or video", "Choose another"],
  screen: ["A window or the whole screen, selected in the next step.", "Share the screen", "Share something else"],
  webcam: ["The image stays between this page and your server.", "Start the webcam", "Turn the webcam off"],
};

function showSource() {
  const chosen = source();
  byId("drawing").hidden = chosen !== "draw";
  byId("brush").hidden = chosen !== "draw";
  byId("source-empty").hidden = chosen === "draw" || media.isOpen;
  byId("media-tools").hidden = chosen === "draw" || !media.isOpen;
  if (chosen === "draw") return;
  const [hint, opening, changing] = hints[chosen];
  byId("source-hint").textContent = hint;
  byId("source-start").textContent = opening;
  byId("source-change").textContent = changing;
}

async function open(file) {
  say(byId("source-error"), null);
  try {
    if (source() === "file") {
      if (!file) return void byId("source-file").click();
      await media.openFile(file);
    } else if (source() === "screen") await media.openScreen();
    else if (source() === "webcam") await media.openCamera();
  } catch (error) {
    say(byId("source-error"), error.message);
    showSource();
    return;
  }
  showSource();
  begin();
  pump();
}

function beginOrOpen() {
  if (source() === "draw" || media.isOpen) begin();
  else open();
}

// MARK: - Setup

/**
 * Sets up the page.
 *
 * @param {function(Blob)} send called with an image to send to Create
 */
export function start(send) {
  startOutput(send);
  field("seed").value = randomSeed();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!stream) beginOrOpen();
  });
  form.addEventListener("input", ({ target }) => {
    showValues();
    if (target.name === "source") {
      media.close();
      say(byId("source-error"), null);
      showSource();
      showRunning();
      pump();
    } else if (target.name === "model" || target.name === "stages") {
      if (target.name === "model") {
        suit();
        if (model()?.state === "unloaded") wake(target.value);
      }
      restart();
    } else if (target === byId("live-other")) changeSoon("blend");
    else if (target === byId("live-filter")) change("similar");
    else if (target.name === "prompt" || target.name === "negative_prompt") changeSoon(target.name);
    else if (target.name === "seed" && seedOf(target) === null) {
      complain(new ServerError("The seed must be an integer.", { parameter: "seed" }));
    } else if (target.name in readings) change(target.name);
  });
  byId("live-toggle").addEventListener("click", () => stream ? end() : beginOrOpen());
  byId("source-start").addEventListener("click", () => open());
  byId("source-change").addEventListener("click", () => source() === "webcam" ? end() : open());
  byId("source-file").addEventListener("change", ({ target }) => {
    if (target.files[0]) open(target.files[0]);
    target.value = "";
  });
  // Videos have new frames all the time; the server's responses determine when to send them.
  setInterval(pump, 33);
  addEventListener("pagehide", () => stream && end("", true));
  showValues();
  showSource();
}

/** Uses an image or a video as the source. */
export function use(file) {
  field("source").value = "file";
  open(file);
}

/** Shows the page. */
export function show() {
  if (!isTouched()) field("prompt").focus();
}

/** Stops the stream. */
export function escape() {
  if (stream) end();
}
