// Random prompts that a model knows, and the server's warnings.

import { byId, element } from "./elements.js";
import { connection, get, sentence } from "./server.js";

const known = new Map();

/** The prompts that a model was trained on; null if it supports any prompt, or if unknown. */
export async function promptsOf(model) {
  if (!model) return null;
  if (!known.has(model)) {
    known.set(model, get(`v1/models/${encodeURIComponent(model)}/prompts`).catch(() => {
      known.delete(model);
      return null;
    }));
  }
  const prompts = await known.get(model);
  return prompts?.is_limited && prompts.subjects.length ? prompts : null;
}

/** Has the server load a model that was chosen, whose sizes and adapters are unknown before. */
export async function wake(model) {
  known.delete(model);
  await promptsOf(model);
  connection.dispatchEvent(new Event("loaded"));
}

const pick = (list) => list[Math.floor(Math.random() * list.length)];

/** A random prompt that a model knows. */
export function surprise({ template, subjects, backgrounds }) {
  const { name } = pick(subjects);
  return template
    .replace("{background}", () => pick(backgrounds) ?? "")
    .replace("{subject}", () => `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`);
}

/** Shows the server's warnings in a list, or hides it. */
export function showWarnings(list, warnings) {
  const messages = [...new Set((warnings ?? []).map(({ message }) => sentence(message)))];
  list.replaceChildren(...messages.map((message) => element("li", {}, message)));
  list.hidden = messages.length === 0;
}

/**
 * Sets up the button that fills in a random prompt.
 *
 * @param {function(): string} model the model's name
 * @param {function(string)} use called with the prompt
 */
export function startSurprise(model, use) {
  byId("surprise").addEventListener("click", async () => {
    const prompts = await promptsOf(model());
    if (prompts) use(surprise(prompts));
  });
}

/** Shows the button if the model lists its prompts. */
export async function offerSurprise(model) {
  byId("surprise").hidden = (await promptsOf(model)) === null;
}
