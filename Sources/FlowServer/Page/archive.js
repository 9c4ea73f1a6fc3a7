// The full images of earlier orders and those that they started from, stored by the browser up to a total size.

const databaseName = "streamflow";
const storeName = "images";

/** The maximum number of stored bytes. */
export const capacity = 256 * 2 ** 20;

const finished = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

let opening = null;

// A browser may refuse (private windows, no space left): images are then generated again from their seeds.
function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(databaseName, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(storeName, { keyPath: "id" });
    request.onblocked = () => reject(new Error("blocked"));
    finished(request).then(resolve, reject);
  });
  return opening;
}

async function store(mode) {
  return (await database()).transaction(storeName, mode).objectStore(storeName);
}

/**
 * Stores an order's images.
 *
 * @param {string} id of the order
 * @param {{file: Blob, seed: number}[]} images in their order
 * @param {{input: ?Blob, mask: ?Blob, controls: object[]}} parts the images that it started from
 * @returns {Promise<number>} the number of stored bytes, 0 if the browser stores nothing
 */
export async function save(id, images, parts) {
  const controls = parts.controls.reduce((sum, { image, mask }) => sum + (image?.length ?? 0) + (mask?.length ?? 0), 0);
  const bytes = images.reduce((sum, { file }) => sum + file.size, 0)
    + (parts.input?.size ?? 0) + (parts.mask?.size ?? 0) + controls;
  if (bytes > capacity) return 0;
  try {
    await finished((await store("readwrite")).put({ id, images, parts }));
    return bytes;
  } catch (error) {
    console.info("images are not stored:", error?.message);
    return 0;
  }
}

/** The `images` of an order and their `parts`, or null if they are not stored. */
export async function load(id) {
  try {
    return (await finished((await store("readonly")).get(id))) ?? null;
  } catch {
    return null;
  }
}

/**
 * Deletes the images of all other orders, and the oldest ones beyond the capacity.
 *
 * @param {{id: string, bytes: number}[]} orders the orders to keep, newest first
 */
export async function prune(orders) {
  try {
    let total = 0;
    const wanted = new Set(orders.filter(({ bytes }) => (total += bytes) <= capacity).map(({ id }) => id));
    const images = await store("readwrite");
    // Keys alone, without reading what they name.
    for (const id of await finished(images.getAllKeys())) if (!wanted.has(id)) images.delete(id);
  } catch { /* Nothing is stored, so there is nothing to delete. */ }
}
