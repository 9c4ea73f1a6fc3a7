// The progress of an order, and an estimate of the remaining time.

import { byId, counted } from "./elements.js";

// The latest time of a step in milliseconds, by model and size.
const paces = new Map();

/** Tracks the images of an order, and estimates the remaining time. */
export class OrderProgress {
  #order;
  #key;
  #parts;      // The progress of each image, from 0 to 1,
  #ended = 0;  // and the number of ended images.
  #first = null;
  #endsAt = null;
  #timer;

  /** @param {{n: number, steps: number, size: string, model: string}} order */
  constructor(order) {
    this.#order = order;
    this.#key = `${order.model} ${order.size}`;
    this.#parts = Array(order.n).fill(0);
    const pace = paces.get(this.#key);
    if (pace) this.#endsAt = performance.now() + pace * order.n * order.steps;
    this.#timer = setInterval(() => this.#showEstimate(), 500);
    this.#show();
  }

  /** Records the progress of an image. */
  advance(index, part) {
    this.#parts[index] = part;
    this.#estimate();
  }

  /** Records that an image is finished or failed. */
  finish(index) {
    this.#ended += 1;
    this.advance(index, 1);
    this.#show();
  }

  /** Stops counting. */
  end() {
    clearInterval(this.#timer);
    byId("order-estimate").textContent = "";
  }

  // Measured from the first event: before it, engines may have been compiled.
  #estimate() {
    const now = performance.now();
    const done = this.#parts.reduce((sum, part) => sum + part, 0);
    this.#first ??= { now, done };
    if (done <= this.#first.done) return;
    const pace = (now - this.#first.now) / (done - this.#first.done);
    paces.set(this.#key, pace / this.#order.steps);
    this.#endsAt = now + pace * (this.#order.n - done);
  }

  #show() {
    const { n } = this.#order;
    byId("order-progress").textContent =
      `Generating ${counted(n, "image")}${this.#ended ? `: ${this.#ended} of ${n} done` : ""}.`;
    this.#showEstimate();
  }

  #showEstimate() {
    const seconds = this.#endsAt === null ? 0 : (this.#endsAt - performance.now()) / 1000;
    byId("order-estimate").textContent = seconds >= 0.5 ? `About ${duration(seconds)} left.` : "";
  }
}

const duration = (seconds) =>
  seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
