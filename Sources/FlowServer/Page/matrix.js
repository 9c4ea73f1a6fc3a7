// Alternatives in a prompt: "a {red|blue} fox" is two prompts.

const group = /\{([^{}]*\|[^{}]*)\}/g;

/** The maximum number of images of one order. */
export const mostImages = 64;

/**
 * The prompts that a prompt with alternatives in braces means, the last group varying first.
 *
 * @param {string} text the prompt; braces without `|` are ordinary characters
 * @returns {{prompt: string, label: string}[]} each with the alternatives that it was made of
 */
export function alternatives(text) {
  const groups = [...text.matchAll(group)];
  let found = [{ parts: [], chosen: [] }];
  let end = 0;
  for (const { 0: whole, 1: inside, index } of groups) {
    const between = text.slice(end, index);
    const choices = inside.split("|").map((choice) => choice.trim());
    // Stops where no order may be that large, so that a long text cannot fill the memory.
    if (found.length * choices.length > mostImages) return [];
    found = found.flatMap(({ parts, chosen }) => choices.map((choice) => (
      { parts: [...parts, between, choice], chosen: [...chosen, choice] })));
    end = index + whole.length;
  }
  return found.map(({ parts, chosen }) => ({
    prompt: [...parts, text.slice(end)].join("").replace(/\s+/g, groups.length ? " " : "$&").trim(),
    label: chosen.map((choice) => choice || "–").join(" · "),
  }));
}

/** The number of images in a row of the grid of a prompt: the alternatives of its last group. */
export function columnsOf(text) {
  const last = [...text.matchAll(group)].at(-1);
  return last ? last[1].split("|").length : 0;
}
