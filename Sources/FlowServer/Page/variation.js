// Variations of an image: the noise of other seeds, blended with the noise of its own.

import { byId } from "./elements.js";

let base = null;

const strength = () => Number(byId("variation-strength").value);

/**
 * The fields of variations, or none.
 *
 * An order's seeds count up, and the blended seed stays. So the images have seeds of their own, into
 * which the base's noise is blended: strength 0 is the base, 1 the other seed.
 */
export const seedBlend = () => base === null ? {}
  : { seed_blend: { seed: base, fraction: Number((1 - strength()).toFixed(2)) } };

/** Begins variations of a seed, or ends them. */
export function vary(seed, fraction = null) {
  base = seed;
  if (fraction !== null) byId("variation-strength").value = 1 - fraction;
  byId("variation").hidden = seed === null;
  byId("variation-seed").textContent = seed ?? "";
  showVariation();
}

/** Shows the value of the strength. */
export function showVariation() { byId("variation-strength-value").value = strength().toFixed(2); }
