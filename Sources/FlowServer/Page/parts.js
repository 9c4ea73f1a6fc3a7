// The images that an order starts from: the input image, its mask and those of adapters.

import { inputFile, maskFile, restoreMask, startFrom } from "./input.js";

/** Those of an order that starts from a prompt alone. */
export const noParts = { input: null, mask: null, controls: [] };

/**
 * Sets the images to those of an earlier order, whose model is selected.
 *
 * @param {{input: ?Blob, mask: ?Blob, controls: object[]}} parts
 * @param {Controls} controls the adapters of the page
 * @returns {Promise<?string>} what is missing, as a sentence; null if nothing is
 */
export async function startLike({ input, mask, controls: values }, controls) {
  // Another image was chosen meanwhile, which is to stay.
  if (input !== inputFile() && !await startFrom(input)) return null;
  let isRead = input === null || inputFile() !== null;
  if (inputFile() && mask !== maskFile()) {
    try {
      await restoreMask(mask);
    } catch {  // The browser may have lost a part of what it stored.
      isRead = false;
    }
  }
  const unknown = controls.restore(values);
  if (unknown.length) return `The model has no adapter ${unknown.join(", ")} now.`;
  return isRead ? null : "The image that this order started from cannot be read; choose it again.";
}
