// A viewer for one image: its size, what it was made from, and what can be done with it.

import { byId, counted, fileName, say } from "./elements.js";
import { enlarged } from "./making.js";
import { smallWidth } from "./gallery.js";

let shown = { pictures: [], index: 0, urls: [] };
const current = () => shown.pictures[shown.index];

/** Shows an image in the viewer. */
export function view(pictures, index) {
  shown = { pictures, index, urls: [] };
  turn(0);
  byId("viewer").showModal();
}

function turn(distance) {
  const count = shown.pictures.length;
  shown.index = (shown.index + distance + count) % count;
  show();
}

function release() {
  for (const url of shown.urls) URL.revokeObjectURL(url);
  shown.urls = [];
}

function show() {
  const { file, seed, prompt, facts, aspect, source } = current();
  const count = shown.pictures.length;
  release();
  const address = (blob) => {
    shown.urls.push(URL.createObjectURL(blob));
    return shown.urls.at(-1);
  };
  const image = byId("viewer-picture");
  image.src = address(file);
  image.alt = prompt;
  byId("viewer").style.setProperty("--aspect", aspect);
  byId("viewer-prompt").textContent = prompt;
  const places = [count > 1 ? `${shown.index + 1} of ${count}` : "", `seed ${seed}`, facts];
  if (factorOf(current())) places.push(`upscaled ${factorOf(current())} times`);
  byId("viewer-facts").textContent = places.filter(Boolean).join(" · ");
  const link = byId("viewer-download");
  link.href = image.src;
  link.download = nameOf(current());
  byId("viewer-previous").hidden = byId("viewer-next").hidden = count < 2;
  byId("viewer-variations").hidden = byId("viewer-upscaling").hidden = !source;
  offerFactors();
  say(byId("viewer-error"), null);
  byId("viewer-progress").textContent = "";
  compare(source?.parts.input ? address(source.parts.input) : null, source?.settings.fit);
}

// MARK: - Before and after

function compare(before, fit) {
  byId("compare").classList.toggle("comparing", before !== null);
  byId("viewer-before").hidden = byId("viewer-split").hidden = before === null;
  if (before === null) return byId("viewer-before").removeAttribute("src");
  byId("viewer-before").src = before;
  byId("viewer-before").style.objectFit = { cover: "cover", contain: "contain", stretch: "fill" }[fit] ?? "cover";
  byId("viewer-split").value = 50;
  split();
}

function split() {
  const part = Number(byId("viewer-split").value);
  byId("compare").style.setProperty("--split", `${part}%`);
  byId("viewer-split").setAttribute("aria-valuetext", `${part} percent before, the rest after`);
}

// MARK: - Actions

/** The file name of an image. */
export const nameOf = ({ file, seed, prompt, ...picture }) => {
  const factor = factorOf(picture);
  return `${fileName(prompt)}-${seed}${factor ? `-${factor}x` : ""}.${file.type === "image/jpeg" ? "jpg" : "png"}`;
};

// How many times an image was enlarged: in the viewer, or by its order; 0 for not at all.
const factorOf = ({ upscale, source }) => upscale ?? source?.settings.upscale ?? 0;

// The actual size of the image, and its display scale.
function showSize() {
  const image = byId("viewer-picture");
  const { naturalWidth: width, naturalHeight: height, clientWidth } = image;
  if (!width) return;
  image.classList.toggle("small", width < smallWidth);
  byId("viewer-before").classList.toggle("small", byId("viewer-before").naturalWidth < smallWidth);
  const scale = clientWidth / width;
  const enlarged = scale > 1.1 ? `, enlarged ${scale.toFixed(1)} times` : "";
  byId("viewer-size").textContent = `${width} × ${height} pixels${enlarged}.`;
}

// An image is only made larger than it is.
function offerFactors() {
  for (const button of byId("viewer-upscaling").querySelectorAll("button")) {
    button.disabled = Number(button.dataset.factor) <= factorOf(current());
  }
}

async function upscale(factor) {
  const picture = current();
  const buttons = byId("viewer-upscaling").querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  say(byId("viewer-error"), null);
  byId("viewer-progress").textContent = `Upscaling ${counted(factor, "time")}.`;
  try {
    picture.file = await enlarged(picture, factor);
    picture.upscale = factor;
    picture.changed?.();
    if (picture === current() && byId("viewer").open) show();
  } catch (error) {
    if (picture === current()) say(byId("viewer-error"), error.message);
  } finally {
    offerFactors();
    byId("viewer-progress").textContent = "";
  }
}

/**
 * Sets up the viewer.
 *
 * @param {{use: function(object), keep: function(object), vary: function(object)}} actions on the displayed
 *   image
 */
export function startViewer({ use, keep, vary }) {
  const dialog = byId("viewer");
  for (const id of ["viewer-picture", "viewer-before"]) byId(id).addEventListener("load", showSize);
  new ResizeObserver(showSize).observe(byId("viewer-picture"));
  byId("viewer-previous").addEventListener("click", () => turn(-1));
  byId("viewer-next").addEventListener("click", () => turn(1));
  byId("viewer-close").addEventListener("click", () => dialog.close());
  byId("viewer-split").addEventListener("input", split);
  dialog.addEventListener("keydown", (event) => {
    const distance = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (distance && event.target !== byId("viewer-split")) turn(distance);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", release);
  for (const button of byId("viewer-upscaling").querySelectorAll("button")) {
    button.addEventListener("click", () => upscale(Number(button.dataset.factor)));
  }
  const closing = (action) => () => {
    const picture = current();
    dialog.close();
    action(picture);
  };
  byId("viewer-input").addEventListener("click", closing(use));
  byId("viewer-seed").addEventListener("click", closing(keep));
  byId("viewer-variations").addEventListener("click", closing(vary));
}
