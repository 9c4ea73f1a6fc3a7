// The full images of earlier orders, stored by the browser up to a total size.

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
 */
export async function save(id, images) {
  const bytes = images.reduce((sum, { file }) => sum + file.size, 0);
  if (bytes > capacity) return;
  try {
    await finished((await store("readwrite")).put({ id, images, bytes }));
  } catch (error) {
    console.info("images are not stored:", error?.message);
  }
}

/** The images of an order, or null if they are not stored. */
export async function load(id) {
  try {
    return (await finished((await store("readonly")).get(id)))?.images ?? null;
  } catch {
    return null;
  }
}

/**
 * Deletes the images of all other orders, and the oldest ones beyond the capacity.
 *
 * @param {string[]} ids the orders to keep, newest first
 */
export async function prune(ids) {
  try {
    const images = await store("readwrite");
    const sizes = new Map();
    await new Promise((resolve, reject) => {
      const request = images.openCursor();
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return resolve();
        sizes.set(cursor.key, cursor.value.bytes);
        cursor.continue();
      };
    });
    let total = 0;
    const wanted = new Set(ids.filter((id) => (total += sizes.get(id) ?? 0) <= capacity));
    for (const id of sizes.keys()) if (!wanted.has(id)) images.delete(id);
  } catch { /* Nothing is stored, so there is nothing to delete. */ }
}
