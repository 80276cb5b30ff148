// The pages work without it; with it they are live and go by the keyboard.
"use strict";
const rows = document.getElementById("rows");
const ROWS_MAX = 500; // what a page holds while it is left open all day

// --- live ---------------------------------------------------------------------------------

const live = document.getElementById("live");
if (live && rows) {
  const query = new URLSearchParams(location.search).get("q") || "";
  const address = "/events?" + new URLSearchParams({ q: query, after: live.dataset.after });
  const source = new EventSource(address);
  const say = (text, name) => { live.textContent = text; live.className = "live " + name; };
  source.onopen = () => say("live", "on");
  source.onerror = () => say("not connected", "off");
  source.addEventListener("rows", (event) => {
    if (!event.data.trim()) return;
    const holder = document.createElement("template");
    holder.innerHTML = event.data; // made by the server, which escapes all it was sent
    const fresh = [...holder.content.querySelectorAll("tr")]
      .filter((row) => !document.querySelector(`tr[data-id="${CSS.escape(row.dataset.id)}"]`));
    fresh.forEach((row) => row.classList.add("new"));
    rows.prepend(...fresh);
    while (rows.rows.length > ROWS_MAX) rows.lastElementChild.remove();
    document.getElementById("empty")?.remove();
    document.getElementById("none")?.remove();
    document.querySelectorAll(".list[hidden], .tools[hidden]").forEach((it) => { it.hidden = false; });
  });
  addEventListener("pagehide", () => source.close());
}

// --- choosing two -------------------------------------------------------------------------

const picked = () => [...document.querySelectorAll("input[name=pick]:checked")];
const compare = () => {
  const two = picked();
  if (two.length === 2) location.href = "/diff?" + new URLSearchParams({ a: two[1].value, b: two[0].value });
};
const button = document.getElementById("compare-button");
if (button) {
  const look = () => {
    const count = picked().length;
    button.disabled = count !== 2;
    document.getElementById("chosen").textContent =
      count === 0 ? "Choose two to compare" : `${count} chosen`;
  };
  addEventListener("change", look);
  button.addEventListener("click", compare);
  look();
}

// --- copying ------------------------------------------------------------------------------

document.querySelectorAll("[data-copy]").forEach((one) => {
  one.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(one.dataset.copy).textContent);
    one.textContent = "Copied";
  });
});

// --- the keyboard -------------------------------------------------------------------------

let here = null;
const go = (step) => {
  const all = rows ? [...rows.rows] : [];
  if (!all.length) return;
  const at = here && here.isConnected ? all.indexOf(here) + step : step > 0 ? 0 : all.length - 1;
  here?.classList.remove("here");
  here = all[Math.max(0, Math.min(all.length - 1, at))];
  here.classList.add("here");
  here.scrollIntoView({ block: "nearest" });
  here.querySelector(".path a").focus({ preventScroll: true });
};
const keys = {
  j: () => go(1),
  k: () => go(-1),
  x: () => here?.querySelector("input[name=pick]")?.click(),
  d: compare,
  r: () => document.querySelector("#replay button")?.click(),
  u: () => document.querySelector(".crumbs a")?.click(),
  "/": () => document.getElementById("q")?.focus(),
};
addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input[type=search], input[type=text], textarea, select");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
