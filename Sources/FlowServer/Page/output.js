// Tools for the output of a live stream: snapshot, recording, full screen.

import { byId, download, say } from "./elements.js";

const canvas = byId("output");
const framesPerSecond = 30;

const stamp = () => new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");

/** The output as a PNG file, or null before the first image. */
export const photograph = () => canvas.dataset.pictures
  ? new Promise((done) => canvas.toBlob(done, "image/png")) : Promise.resolve(null);

// MARK: - Recording

let recorder = null;

/** Whether the output is being recorded. */
export const isRecording = () => recorder !== null;

const recordingType = () => ["video/webm;codecs=vp9", "video/webm", "video/mp4"].find(
  (type) => globalThis.MediaRecorder?.isTypeSupported(type));

function startRecording() {
  const type = recordingType();
  const parts = [];
  const made = recorder = new MediaRecorder(
    canvas.captureStream(framesPerSecond), { mimeType: type, videoBitsPerSecond: 8_000_000 });
  made.addEventListener("dataavailable", ({ data }) => data.size && parts.push(data));
  made.addEventListener("stop", () => {
    for (const track of made.stream.getTracks()) track.stop();
    if (!parts.length) return;
    const ending = type.startsWith("video/mp4") ? "mp4" : "webm";
    download(new Blob(parts, { type: type.split(";")[0] }), `streamflow-${stamp()}.${ending}`);
  });
  made.addEventListener("error", () => {
    say(byId("live-error"), "The browser stopped the recording; the part so far is saved.");
    stopRecording();
  });
  made.start(1000);
  showRecording();
}

/** Ends the recording and saves it. */
export function stopRecording() {
  const made = recorder;
  recorder = null;
  if (made && made.state !== "inactive") made.stop();
  showRecording();
}

function showRecording() {
  const button = byId("output-record");
  button.setAttribute("aria-pressed", recorder !== null);
  button.title = recorder ? "Stop recording and save" : "Record";
  button.setAttribute("aria-label", button.title);
}

// MARK: - Setup

/**
 * Sets up the tools below the output.
 *
 * @param {function(Blob)} send called with the image to send to Create
 */
export function startOutput(send) {
  const view = byId("output-view");
  byId("output-snapshot").addEventListener("click", async () => {
    const file = await photograph();
    if (file) download(file, `streamflow-${stamp()}.png`);
  });
  byId("output-send").addEventListener("click", async () => {
    const file = await photograph();
    if (file) send(file);
  });
  byId("output-record").hidden = !recordingType();
  byId("output-record").addEventListener("click", () => recorder ? stopRecording() : startRecording());
  byId("output-screen").hidden = !document.fullscreenEnabled;
  byId("output-screen").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else view.requestFullscreen().catch((error) => say(byId("live-error"), `Full screen failed: ${error.message}`));
  });
  addEventListener("pagehide", stopRecording);
  showRecording();
}

// There is nothing to save before the first image.
function enableOutput() {
  for (const button of byId("output-tools").querySelectorAll("button")) button.disabled = false;
}

// MARK: - Images

const context = canvas.getContext("2d");
let pictureCount = 0;
let shownPicture = 0;

/** Shows an image's file; an image that is decoded after a later one is dropped. */
export async function showPicture(file) {
  const number = ++pictureCount;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return;
  if (number > shownPicture) {
    shownPicture = number;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.dispatchEvent(new Event("sized"));
    }
    context.drawImage(picture, 0, 0);
    canvas.dataset.pictures = number;
    byId("output-empty").textContent = "";
    enableOutput();
  }
  picture.close();
}
