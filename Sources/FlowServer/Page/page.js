// The frame of the page: its three pages, the models, the banner and the token.

import * as create from "./create.js";
import { byId, say } from "./elements.js";
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

// MARK: - The token

askWith((isRefused) => new Promise((given) => {
  const dialog = byId("token-dialog");
  const field = byId("token");
  field.value = "";
  dialog.returnValue = "";
  say(byId("token-error"), isRefused ? "The server refused that token; check it and try again." : null);
  dialog.addEventListener(
    "close", () => given(dialog.returnValue === "use" ? field.value.trim() : null), { once: true });
  dialog.showModal();
}));

// MARK: - Models

let refreshing = false;

/** Reads the models until the first of them is settled. */
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
    if (error.code === "connection_lost") return;  // Found again, it calls again.
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
addEventListener("keydown", (event) => {
  // A dialog, and the full screen, close by Escape themselves.
  if (event.key !== "Escape" || event.isComposing || document.fullscreenElement) return;
  if (!document.querySelector("dialog[open]")) pages[current].escape?.();
});
addEventListener("hashchange", show);
show();
refreshModels();
