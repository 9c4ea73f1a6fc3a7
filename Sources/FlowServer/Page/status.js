// Status: images in flight, throughput, and models in memory.

import { byId, counted, drawn, element, say } from "./elements.js";
import { found, get, pause } from "./server.js";

const interval = 0.5;
const bucketSeconds = 5;
const mostCells = 40;  // Tracks with more steps are drawn as a bar.

let watching = 0;

// MARK: - Watching

/** Watches the server while the page is shown. */
export async function show() {
  const turn = ++watching;
  while (turn === watching) {
    if (document.hidden) {
      await pause(interval);
      continue;
    }
    try {
      const status = await get("v1/status");
      if (turn !== watching) return;
      say(byId("status-error"), null);
      draw(status);
    } catch (error) {
      if (turn !== watching) return;
      if (error.code === "connection_lost") await found();
      else say(byId("status-error"), error.message);
      if (error.status === 401) return;
    }
    await pause(interval);
  }
}

/** Stops watching. */
export function hide() { watching += 1; }

function draw(status) {
  drawTotals(status);
  drawBatches(status.models, status.streams);
  drawThroughput(status.throughput);
  drawModels(status.models);
  drawWorkers(status.workers);
  drawStreams(status.streams);
  byId("version").textContent = `StreamFlow ${status.version}`;
}

// MARK: - Numbers

const whole = new Intl.NumberFormat("en-US");

function drawTotals({ pictures, queue, throughput, uptime_seconds: uptime }) {
  byId("total-pictures").textContent = whole.format(pictures);
  byId("total-waiting").textContent = whole.format(queue.pictures);
  byId("total-waiting").title = `of at most ${whole.format(queue.capacity)}`;
  byId("total-requests").textContent = whole.format(queue.requests);
  const minute = throughput.filter(({ seconds_ago }) => seconds_ago < 60);
  const made = minute.reduce((sum, bucket) => sum + bucket.pictures, 0);
  byId("total-rate").textContent = rate(made / Math.max(1, Math.min(60, uptime)));
  byId("total-uptime").textContent = duration(uptime);
}

const rate = (value) => String(value >= 10 ? Math.round(value) : Math.round(value * 10) / 10);

function duration(seconds) {
  const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

const bytes = (count) => count >= 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${Math.round(count / 1e6)} MB`;

// MARK: - The stream batch

const hues = new Map();

// Consecutive requests get distant hues.
function hueOf(request) {
  if (!hues.has(request)) hues.set(request, (200 + hues.size * 137.5) % 360);
  return hues.get(request);
}

const drawnBatches = new Map();

function drawBatches(models, streams) {
  const batches = models.flatMap((model) => (model.batches ?? []).map((batch) => ({ ...batch, model: model.id })));
  const drawings = new Map();
  // Workers of a fleet may have batches of the same model and size.
  for (const [index, batch] of batches.entries()) {
    if (batch.rows.length === 0) continue;
    drawings.set(`${batch.model} ${batch.width}x${batch.height} ${index}`, batchDrawing(batch));
  }
  // A slow stream may have no frame in flight when polled, so its rate counts.
  for (const stream of streams.filter((stream) => stream.in_flight > 0 || stream.frames_per_second > 0)) {
    drawings.set(`${stream.worker ?? ""} ${stream.id}`, streamDrawing(stream));
  }
  for (const [key, item] of drawnBatches) {
    if (drawings.has(key)) continue;
    item.remove();
    drawnBatches.delete(key);
  }
  for (const [key, drawing] of drawings) {
    drawnBatches.get(key)?.remove();
    drawnBatches.set(key, drawing);
    byId("batches").append(drawing);
  }
  byId("batches").querySelector(".empty")?.remove();
  if (drawings.size > 0) return;
  byId("batches").append(element(
    "p.empty", {},
    "No images are in flight. Generate images under Create, or start a stream under Live."));
}

// A live stream: its frames are in flight too briefly to draw each.
function streamDrawing({ id, model, width, height, in_flight: count, frames_per_second: frames, rows }) {
  return element(
    "div.batch", {},
    element(
      "p.batch-head", {}, element("span", {}, `${model}, ${width} × ${height} · live stream ${id}`),
      element("span", {}, [
        `${counted(count, "frame")} in flight`, counted(rows, "row"), `${frames.toFixed(1)} FPS`,
      ].join(" · "))));
}

function batchDrawing({ model, width, height, row_capacity: capacity, tick_seconds: tick, rows }) {
  const most = Math.max(1, ...rows.map(({ steps }) => steps));
  const sorted = [...rows].sort((one, other) =>
    String(one.request).localeCompare(String(other.request), "en", { numeric: true }) || one.picture - other.picture);
  const free = Math.max(0, Math.min(capacity, 16) - rows.length);
  const table = element(
    "div.flight", { role: "img", "aria-label": inWords(rows, capacity) },
    ...sorted.map((row) => line(row, most)),
    ...Array.from({ length: free }, (_, index) => line(null, most, index === 0 ? "free" : "")));
  const facts = [`${rows.length} of ${counted(capacity, "row")}`];
  if (tick) facts.push(`${(tick * 1000).toFixed(tick < 0.01 ? 1 : 0)} ms per call`);
  return element(
    "div.batch", {},
    element(
      "p.batch-head", {}, element("span", {}, `${model}, ${width} × ${height}`),
      element("span", {}, facts.join(" · "))),
    table);
}

function inWords(rows, capacity) {
  const requests = new Set(rows.map(({ request }) => request)).size;
  return `${rows.length} of ${counted(capacity, "row")} in flight, of ${counted(requests, "request")}`;
}

// A line of the drawing; null is a free batch row.
function line(row, most, name = "") {
  const steps = row ? Math.min(row.steps, mostCells) : 0;
  const stage = row ? Math.min(steps - 1, Math.floor(row.stage * steps / row.steps)) : -1;
  const track = element("span.track");
  track.style.setProperty("--steps", Math.max(steps, 1));
  track.style.setProperty("--share", `${100 * (row?.steps ?? most) / most}%`);
  for (let step = 0; step < steps; step += 1) {
    const cell = element("span");
    if (row && step < stage) cell.className = "past-step";
    else if (step === stage) cell.className = row.advances === false ? "held" : "now";
    track.append(cell);
  }
  const made = element(
    `div.flight-row${row ? "" : ".free"}`, {},
    element("span.flight-name", {}, row ? `${row.request} · ${row.picture + 1}` : name), track,
    element("span.flight-step", {}, row ? `${row.stage + 1}/${row.steps}` : ""));
  if (row) made.style.setProperty("--hue", hueOf(row.request));
  return made;
}

// MARK: - Throughput

function drawThroughput(buckets) {
  // As wide as its container, so that its text has the page's size.
  const [width, height, left, bottom] = [Math.max(280, byId("throughput").clientWidth), 180, 36, 22];
  const span = 600;
  const rates = buckets.map(({ seconds_ago: ago, pictures }) => ({ ago, rate: pictures / bucketSeconds }));
  const peak = Math.max(0, ...rates.map((bucket) => bucket.rate));
  const top = roundTop(peak);
  const chart = drawn("svg", {
    class: "chart", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `Throughput: peak ${rate(peak)} images per second, now ${rate(rates.at(-1)?.rate ?? 0)}`,
  });
  const y = (value) => (height - bottom - 8) * (1 - value / top) + 8;
  for (const value of [0, top / 2, top]) {
    chart.append(
      drawn("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }),
      drawn("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, rate(value)));
  }
  const bucketWidth = (width - left) * bucketSeconds / span;
  const bars = drawn("g", { class: "bars" });
  for (const bucket of rates) {
    if (bucket.rate === 0 || bucket.ago >= span) continue;
    bars.append(drawn("rect", {
      x: width - bucketWidth * (Math.floor(bucket.ago / bucketSeconds) + 1), width: bucketWidth * 0.8,
      y: y(bucket.rate), height: y(0) - y(bucket.rate), rx: Math.min(2, bucketWidth / 4),
    }));
  }
  chart.append(bars);
  for (const [minutes, anchor] of [[10, "start"], [5, "middle"], [0, "end"]]) {
    const x = width - (width - left) * minutes * 60 / span;
    chart.append(drawn("text", { x, y: height - 6, "text-anchor": anchor }, minutes ? `${minutes} min ago` : "now"));
  }
  byId("throughput").replaceChildren(chart);
}

// The next of 1, 2, 5, 10, 20 ... that is not below a value.
function roundTop(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value);
}

// MARK: - Models and streams

function row(name, state, facts) {
  const badge = state ? [element(`span.state.${state}`, {}, state)] : [];
  return element(
    "li", {}, element("span.name", {}, name, ...badge),
    element("span.facts", {}, facts.filter(Boolean).join(" · ")));
}

function drawModels(models) {
  byId("models").replaceChildren(...models.map(({ id, state, reason, memory_bytes: memory, batches }) => row(
    id, state, [
      reason, memory ? bytes(memory) : null,
      ...(batches ?? []).map(({ width, height, row_capacity }) => `${width} × ${height}, ${counted(row_capacity, "row")}`),
    ])));
}

// The workers of a fleet; a server with models of its own has none.
function drawWorkers(workers) {
  byId("fleet").hidden = !workers;
  byId("workers").replaceChildren(...(workers ?? []).map((worker) => row(
    worker.name, null, [
      worker.device, worker.models.join(", "), `${worker.busy} of ${counted(worker.capacity, "row")} busy`,
      `${whole.format(worker.pictures)} made`, `${rate(worker.pictures_per_second)} images/s`,
      worker.redelivered ? `${whole.format(worker.redelivered)} taken over` : null,
    ])));
  if (workers?.length === 0) byId("workers").append(element("li.empty", {}, "None has joined yet."));
}

function drawStreams(streams) {
  byId("streams").replaceChildren(...streams.map((stream) => row(
    `${stream.id}, ${stream.model}`, null, [
      `${stream.width} × ${stream.height}`, counted(stream.rows, "row"),
      `${(stream.frames_per_second ?? 0).toFixed(1)} frames per second`,
      `${whole.format(stream.made)} made`, `${whole.format(stream.skipped)} skipped`,
      ...(stream.worker ? [`at ${stream.worker}`] : []),
    ])));
  if (streams.length === 0) byId("streams").append(element("li.empty", {}, "None. Start one under Live."));
}
