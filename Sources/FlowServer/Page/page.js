// The frame of the web UI: its three pages, the models, the banner and the token.

import * as create from "./create.js";
import { byId, say } from "./elements.js";
import { takeDropped } from "./input.js";
import * as live from "./live.js";
import { askWith, connection, found, models, pause } from "./server.js";
import * as status from "./status.js";

const pages = { create, live, status };
let current = null;

// MARK: - Pages

function show() {
  const name = location.hash.slice(1) in pages ? location.hash.slice(1) : "create";
  if (name === current) return;
  if (current) pages[current].hide?.();
  current = name;
  for (const other of Object.keys(pages)) byId(`page-${other}`).hidden = other !== name;
  for (const link of document.querySelectorAll("nav [data-page]")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} – StreamFlow`;
  pages[name].show?.();
}

// MARK: - The banner

connection.addEventListener("lost", () => say(byId("banner"), "Connection lost; trying again."));
connection.addEventListener("found", () => {
  say(byId("banner"), null);
  refreshModels();
});

connection.addEventListener("loaded", () => refreshModels());

// MARK: - The token

askWith((isRefused) => new Promise((given) => {
  const dialog = byId("token-dialog");
  const field = byId("token");
  field.value = "";
  dialog.returnValue = "";
  say(byId("token-error"), isRefused ? "The server rejected the token; check it and try again." : null);
  dialog.addEventListener(
    "close", () => given(dialog.returnValue === "use" ? field.value.trim() : null), { once: true });
  dialog.showModal();
}));

// MARK: - Models

let refreshing = false;

/** Polls the models until the first one is loaded or has failed. */
async function refreshModels() {
  if (refreshing) return;
  refreshing = true;
  try {
    for (;;) {
      await found();
      const all = await models();
      create.offer(all);
      live.offer(all);
      if (all.every(({ streamflow }) => streamflow.state !== "loading")) return;
      await pause(1.5);
    }
  } catch (error) {
    if (error.code === "connection_lost") return;  // Called again when the connection is restored.
    create.refuse(error);
  } finally {
    refreshing = false;
  }
}

create.start();
live.start((file) => {
  location.hash = "create";
  show();
  create.use(file);
});
takeDropped((file) => {
  if (current === "live") return live.use(file);
  if (!file.type.startsWith("image/")) return;
  location.hash = "create";
  show();
  create.use(file);
});
addEventListener("keydown", (event) => {
  // Dialogs and full screen handle Escape themselves.
  if (event.key !== "Escape" || event.isComposing || document.fullscreenElement) return;
  if (!document.querySelector("dialog[open]")) pages[current].escape?.();
});
addEventListener("hashchange", show);
show();
refreshModels();
