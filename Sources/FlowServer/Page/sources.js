// The sources of a live stream: a drawing, a file, the screen or a camera.

import { byId, element } from "./elements.js";
import { followStrokes } from "./strokes.js";

const colors = ["#1b1d20", "#ffffff", "#d9362b", "#f28c28", "#f7cf3d", "#3f9b4f", "#2f6fd0", "#8a4fbf"];
const mostUndone = 20;

// MARK: - Drawing

/** A canvas to draw on, by pointer or keyboard. */
export class Drawing {
  #canvas = byId("drawing");
  #context = this.#canvas.getContext("2d", { willReadFrequently: true });
  #undone = [];
  #color = colors[4];
  #changed;

  /** @param {function()} changed called after each change by the user */
  constructor(changed) {
    this.#changed = changed;
    this.#begin();
    this.#offerColors();
    followStrokes(this.#canvas, {
      begin: () => this.#keep(), line: (from, to) => this.#line(from, to), moved: changed, undo: () => this.undo(),
    });
    byId("undo").addEventListener("click", () => this.undo());
    byId("clear").addEventListener("click", () => {
      this.#keep();
      this.#wipe("#ffffff");
      this.#changed();
    });
  }

  get canvas() { return this.#canvas; }

  /** Undoes the last stroke. */
  undo() {
    const before = this.#undone.pop();
    byId("undo").disabled = this.#undone.length === 0;
    if (!before) return;
    this.#context.putImageData(before, 0, 0);
    this.#changed();
  }

  #keep() {
    const { width, height } = this.#canvas;
    this.#undone.push(this.#context.getImageData(0, 0, width, height));
    if (this.#undone.length > mostUndone) this.#undone.shift();
    byId("undo").disabled = false;
  }

  #wipe(color) {
    this.#context.fillStyle = color;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  // The initial drawing: a yellow disc on blue.
  #begin() {
    this.#wipe(colors[6]);
    this.#context.fillStyle = colors[4];
    this.#context.beginPath();
    this.#context.arc(256, 262, 180, 0, 2 * Math.PI);
    this.#context.fill();
  }

  #line(from, to) {
    const context = this.#context;
    context.strokeStyle = this.#color;
    context.lineWidth = Number(byId("brush-size").value) * to.pressure;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y + (from.x === to.x && from.y === to.y ? 0.01 : 0));
    context.stroke();
  }

  #offerColors() {
    const names = ["Black", "White", "Red", "Orange", "Yellow", "Green", "Blue", "Purple"];
    const swatches = colors.map((color, index) => {
      const swatch = element("button.swatch", {
        type: "button", title: names[index], "aria-label": names[index], "aria-pressed": color === this.#color,
      });
      swatch.style.background = color;
      swatch.addEventListener("click", () => {
        this.#color = color;
        for (const other of swatches) other.setAttribute("aria-pressed", other === swatch);
      });
      return swatch;
    });
    byId("swatches").append(...swatches);
  }
}

// MARK: - Files, screens, cameras

/** A still image or a video from any source. */
export class Media {
  #video = byId("moving");
  #still = byId("still");
  #shown = null;
  #ended;
  #count = 0;

  /** @param {function()} ended called when sharing ends by itself */
  constructor(ended) {
    this.#ended = ended;
    const count = () => {
      this.#count += 1;
      this.#video.requestVideoFrameCallback?.(count);
    };
    this.#video.requestVideoFrameCallback?.(count);
  }

  get isOpen() { return this.#shown !== null; }
  get isMoving() { return this.#shown === this.#video; }

  /** A value that changes with each new frame. */
  get version() {
    if (!this.isMoving) return this.#count;
    // Browsers call back only for displayed frames.
    const isSeen = !document.hidden && this.#video.offsetParent !== null;
    const isCounted = this.#video.requestVideoFrameCallback && isSeen;
    return isCounted ? this.#count : this.#video.currentTime;
  }

  /** The displaying element, with its size. */
  get view() {
    const { videoWidth, videoHeight, naturalWidth, naturalHeight } = this.#shown ?? {};
    return { shown: this.#shown, width: videoWidth ?? naturalWidth, height: videoHeight ?? naturalHeight };
  }

  /** Opens an image or video file. */
  async openFile(file) {
    this.close();
    const url = URL.createObjectURL(file);
    if (file.type.startsWith("video/")) {
      this.#video.src = url;
      await this.#play("This browser cannot play that video; choose an MP4 or WebM file.");
      return;
    }
    this.#still.src = url;
    try {
      await this.#still.decode();
    } catch {
      this.close();
      throw new Error("This browser cannot read that image; choose a PNG or JPEG file.");
    }
    this.#show(this.#still);
  }

  /** Shares the screen. */
  openScreen() {
    return this.#share("getDisplayMedia", { video: { frameRate: 30 } }, "the screen");
  }

  /** Opens the camera. */
  openCamera() {
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
    return this.#share("getUserMedia", { video }, "the webcam");
  }

  /** Releases everything. */
  close() {
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
    for (const shown of [this.#video, this.#still]) {
      if (shown.src) URL.revokeObjectURL(shown.src);
      shown.removeAttribute("src");
      shown.hidden = true;
    }
    this.#video.srcObject = null;
    this.#shown = null;
  }

  async #share(method, wishes, what) {
    if (!navigator.mediaDevices?.[method]) {
      throw new Error(
        `The browser allows ${what} only for local pages or over HTTPS; open the page at `
        + `http://localhost:${location.port || 80}, or put the server behind HTTPS.`);
    }
    this.close();
    let shared;
    try {
      shared = await navigator.mediaDevices[method](wishes);
    } catch (error) {
      if (error.name === "NotFoundError") throw new Error(`The browser did not find ${what}.`);
      if (error.name === "NotReadableError") {
        throw new Error(`Another program uses ${what}; close it there and try again.`);
      }
      throw new Error(`The browser has no permission to use ${what}; allow it in the address bar and try again.`);
    }
    shared.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.#video.srcObject !== shared) return;
      this.close();
      this.#ended();
    });
    this.#video.srcObject = shared;
    await this.#play(`The browser could not show ${what}; try again.`);
  }

  async #play(complaint) {
    try {
      await this.#video.play();
    } catch {
      this.close();
      throw new Error(complaint);
    }
    this.#show(this.#video);
  }

  #show(shown) {
    this.#shown = shown;
    this.#count += 1;
    shown.hidden = false;
  }
}

const scratch = document.createElement("canvas");

/** A view as a JPEG file with a limited longer side. */
export function photographed(view, width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  scratch.width = Math.max(1, Math.round(width * scale));
  scratch.height = Math.max(1, Math.round(height * scale));
  const context = scratch.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(view, 0, 0, scratch.width, scratch.height);
  return new Promise((done) => scratch.toBlob(done, "image/jpeg", 0.92));
}
