// What is wrong with an order, found before the server finds it.

import { byId } from "./elements.js";
import { alternatives, mostImages } from "./matrix.js";
import { ServerError } from "./server.js";

/** The methods that read what the input image shows. */
export const readsSource = new Set(["flowedit", "flowalign", "fireflow", "rf-solver", "inversion"]);

/**
 * The first mistake in the fields of an order.
 *
 * @param {HTMLFormElement} form
 * @param {object} order the settings in the form
 * @returns {?ServerError} with the name of the field
 */
export function mistakeIn(form, { prompt, n, seed, size, method, source_prompt: source }) {
  for (const { name, type, min, max, step, validity, value, labels } of form.elements) {
    if (type !== "number" || !name || (validity.valid && value !== "")) continue;
    const kind = step === "1" ? "an integer" : "a number";
    return new ServerError(`${labels[0].textContent} must be ${kind} from ${min} to ${max}.`, { parameter: name });
  }
  if (seed === null) {
    return new ServerError("The seed must be an integer of at most 9007199254740991.", { parameter: "seed" });
  }
  if (!/^(\d+x\d+|auto)$/.test(size)) {
    const example = byId("custom-size").placeholder;
    return new ServerError(`The size must be width x height, such as ${example}.`, { parameter: "size" });
  }
  if (readsSource.has(method) && !source) {
    return new ServerError("Describe what the input image shows.", { parameter: "source_prompt" });
  }
  const count = alternatives(prompt).length * n;
  if (count === 0 || count > mostImages) {
    return new ServerError(
      `The alternatives in the prompt make more than ${mostImages} images; write fewer, or set fewer images.`,
      { parameter: "n" });
  }
  return null;
}
