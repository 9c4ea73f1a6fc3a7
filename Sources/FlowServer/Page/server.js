// The server's API: requests with the token, server-sent events, and reconnection.

/** An error that the server reports, or a lost connection. */
export class ServerError extends Error {
  constructor(message, { status = 0, code = "", parameter = null, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { status, code, parameter, retryAfter });
  }

  /** Whether the same request may succeed a little later. */
  get passes() { return this.status === 429 || this.status === 503 || this.code === "worker_unreachable"; }
}

/** Dispatches the events `lost` and `found`. */
export const connection = new EventTarget();
let isLost = false;

const address = (path) => new URL(path, document.baseURI);

/** Waits. */
export const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// MARK: - The token

let token = sessionStorage.getItem("streamflow-token");
let asking = null;
let ask = async () => null;

/** Sets the function that asks for the token; its argument is whether one was rejected. */
export function askWith(question) { ask = question; }

/** The subprotocols of a WebSocket, which contain the token if there is one. */
export const subprotocols = () => ["streamflow", ...(token ? [`bearer.${token}`] : [])];

async function newToken(refused) {
  if (token !== refused) return token;
  asking ??= ask(refused !== null).finally(() => { asking = null; });
  const given = await asking;
  if (given) {
    token = given;
    sessionStorage.setItem("streamflow-token", given);
  }
  return given;
}

// MARK: - Requests

/**
 * Sends a request.
 *
 * @param {string} path below the page, such as "v1/models"
 * @param {object} options those of `fetch`; `json` is a body
 * @throws {ServerError} if the server rejects it or does not respond
 */
export async function send(path, { json, headers, ...options } = {}) {
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    headers = { ...headers, "Content-Type": "application/json" };
  }
  for (;;) {
    const used = token;
    const authorization = used ? { Authorization: `Bearer ${used}` } : {};
    let response;
    try {
      response = await fetch(address(path), { ...options, headers: { ...headers, ...authorization } });
    } catch (error) {
      throw options.signal?.aborted ? error : lose();
    }
    if (response.ok) return response;
    const failure = await failureOf(response);
    if (failure.status !== 401 || !(await newToken(used))) throw failure;
  }
}

/** Sends a request with a JSON response. */
export async function get(path, options) {
  const response = await send(path, options);
  try {
    return await response.json();
  } catch (error) {
    throw options?.signal?.aborted ? error : lose();
  }
}

async function failureOf(response) {
  const wait = Number(response.headers.get("Retry-After"));
  const body = await response.json().catch(() => null);
  const { message, code, param } = body?.error ?? {};
  return new ServerError(
    sentence(message ?? `The server answered ${response.status} ${response.statusText}`),
    { status: response.status, code, parameter: param, retryAfter: wait > 0 ? wait : null });
}

/** A message of the server as a sentence. */
export const sentence = (message) => {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
};

/**
 * The server-sent events of a response as they arrive.
 *
 * @yields {object} the data of each
 */
export async function* events(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const lines = part.split("\n").filter((line) => line.startsWith("data:"));
        if (lines.length) yield JSON.parse(lines.map((line) => line.slice(5).trimStart()).join("\n"));
      }
    }
  } catch (error) {
    if (signal?.aborted || error instanceof SyntaxError) throw error;
    throw lose();
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The models that the server offers. */
export const models = async () => (await get("v1/models")).data;

// MARK: - The connection

/** Reports the lost connection, and tries to reconnect. */
export function lose() {
  if (!isLost) {
    isLost = true;
    connection.dispatchEvent(new Event("lost"));
    look();
  }
  return new ServerError("The server does not respond.", { code: "connection_lost" });
}

async function look() {
  for (let wait = 0.5; ; wait = Math.min(wait * 1.6, 5)) {
    await pause(wait);
    try {
      await fetch(address("v1/models"), { signal: AbortSignal.timeout(4000), cache: "no-store" });
      break;
    } catch { /* Still away. */ }
  }
  isLost = false;
  connection.dispatchEvent(new Event("found"));
}

/** Resolves when the server is reachable; at once if it is. */
export const found = () => isLost
  ? new Promise((done) => connection.addEventListener("found", done, { once: true }))
  : Promise.resolve();

/** The address of a path's WebSocket. */
export function socketAddress(path) {
  const socket = address(path);
  socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";
  return socket;
}

// MARK: - Live streams

/** A live stream, which is created again if the server no longer has it. */
export class LiveSocket {
  /** The current settings of the stream. */
  settings;
  #hear;
  #id = null;
  #socket = null;
  #awaited = null;
  #sent = 0;
  #answered = 0;
  #isEnded = false;

  /**
   * Opens a stream.
   *
   * @param {object} settings the body of its request
   * @param {function(object, ?Blob)} hear called with each message, and its image;
   *   besides the server's own there are `open`, `waiting` and `failed`
   */
  constructor(settings, hear) {
    this.settings = settings;
    this.#hear = hear;
    this.#run();
  }

  get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }

  /** The number of frames without a response. */
  get unanswered() { return this.#sent - this.#answered; }

  /** Sends a frame. */
  offer(frame) {
    if (!this.isOpen) return;
    this.#sent += 1;
    this.#socket.send(frame);
  }

  /**
   * Changes settings.
   *
   * @param {object} fields those that are needed to create the stream again
   * @param {object} sent those that are sent now
   */
  change(fields, sent = fields) {
    Object.assign(this.settings, fields);
    if (this.isOpen) this.#socket.send(JSON.stringify(sent));
  }

  /**
   * Ends the stream.
   *
   * @param {boolean} isLeaving whether the page is being closed, and cannot wait for the socket to close
   */
  end(isLeaving = false) {
    this.#isEnded = true;
    this.#socket?.close();
    if (isLeaving) this.#forget();
  }

  #forget() {
    if (!this.#id) return;
    send(this.#path, { method: "DELETE", keepalive: true }).catch(() => {});
    this.#id = null;
  }

  get #path() { return `v1/streams/${encodeURIComponent(this.#id)}`; }

  async #run() {
    let wait = 0.5;
    while (!this.#isEnded) {
      try {
        await this.#find();
        if (this.#isEnded) break;
        const begin = performance.now();
        await this.#talk();
        if (this.#isEnded) break;
        if (performance.now() - begin > 3000) wait = 0.5;
      } catch (error) {
        if (this.#isEnded) break;
        if (error.code === "connection_lost") {
          await found();
          continue;
        }
        if (!error.passes) return this.#hear({ type: "failed", error });
        this.#hear({ type: "waiting", error });
        wait = Math.max(wait, Math.min(error.retryAfter ?? 1, 30));
      }
      await pause(wait);
      wait = Math.min(wait * 1.6, 5);
    }
    this.#forget();
  }

  // Reconnects to the stream with the current settings, or creates one.
  async #find() {
    if (this.#id) {
      const { model, stages, output_format, ...changeable } = this.settings;
      try {
        await send(this.#path, { method: "PATCH", json: changeable });
        return;
      } catch (error) {
        // A worker that ended took its streams along.
        if (error.status !== 404 && error.code !== "worker_unreachable") throw error;
      }
    }
    const made = await get("v1/streams", { method: "POST", json: this.settings });
    this.#id = made.id;
    if (!this.#isEnded) this.#hear({ type: "settings", ...made });
  }

  // Exchanges messages until the connection ends.
  #talk() {
    return new Promise((ended) => {
      const socket = this.#socket = new WebSocket(socketAddress(`${this.#path}/socket`), subprotocols());
      socket.binaryType = "arraybuffer";
      this.#sent = this.#answered = 0;
      this.#awaited = null;
      socket.addEventListener("open", () => this.#hear({ type: "open" }));
      socket.addEventListener("message", ({ data }) => this.#receive(data));
      socket.addEventListener("close", () => {
        if (!this.#isEnded) this.#hear({ type: "closed" });
        ended();
      });
    });
  }

  #receive(data) {
    if (typeof data !== "string") {
      const message = this.#awaited;
      this.#awaited = null;
      if (message) this.#hear(message, new Blob([data], { type: `image/${this.settings.output_format}` }));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "frame" || message.type === "dropped") this.#answered += 1;
    if (message.type === "frame" && message.outcome === "made") this.#awaited = message;
    else this.#hear(message, null);
  }
}
