"use strict";
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const STILL = 30000, AGAIN = 2000;  // ms: between signs of life, and between looks for a free pair
let who = "", pair = null, mode = "rendered", busy = false, touched = 0, waiting = 0;

function ask(path, more) {
  return fetch(path, {
    method: "POST", keepalive: path === "/leave",
    headers: {"Content-Type": "application/json", "X-Llmsel-Token": token},
    body: JSON.stringify({who, ...more}),
  });
}

async function turn(path, more) {
  if (busy) return;
  busy = true;
  clearTimeout(waiting);
  freeze();
  try {
    const reply = await ask(path, more);
    const said = await reply.json();
    if (reply.ok) show(said);
    else say(said.error);
    return reply.ok;
  } catch {
    say("The server does not answer; what was judged is kept. Ask whoever started it, then try again.");
  } finally {
    busy = false;
    freeze();
  }
}

function say(note) { $("note").textContent = note; }

function freeze() {
  for (const button of document.querySelectorAll("nav button"))
    button.disabled = busy || (!pair && button.dataset.key !== "u");
}

function show(said) {
  const changed = said.pair?.name !== pair?.name;
  pair = said.pair;
  $("enter").hidden = true;
  $("standing").hidden = $("keys").hidden = false;
  $("bar").value = said.progress.share;
  $("progress").textContent = `${said.progress.text}; yours now: ${said.progress.yours}`;
  say(said.note);
  $("end").textContent = said.end;
  $("end").hidden = !said.end;
  $("pair").hidden = !pair;
  if (pair) $("again").hidden = !pair.again;
  draw();
  if (changed) {
    scrollTo(0, 0);
    for (const id of ["query", "left", "right"]) $(id).scrollTop = 0;
  }
  if (said.wait) waiting = setTimeout(() => turn("/next"), AGAIN);
}

function draw() {
  for (const key of ["r", "d"])
    document.querySelector(`[data-key=${key}]`).setAttribute(
      "aria-pressed", String(mode === {r: "raw", d: "differences"}[key]));
  if (!pair) return;
  // sanitised by the server, and the page's policy runs no script but this one
  $("query").innerHTML = pair.query[mode] ?? pair.query.raw;
  $("left").innerHTML = pair.left[mode];
  $("right").innerHTML = pair.right[mode];
}

function press(key) {
  if (!who || busy) return;
  if (key === "u") turn("/undo");
  else if (!pair) return;
  else if (key === "r" || key === "d") {
    const wanted = {r: "raw", d: "differences"}[key];
    mode = mode === wanted ? "rendered" : wanted;
    draw();
  } else turn("/give", {pair: pair.name, key});
}

$("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  who = $("who").value.trim();
  if (await turn("/next")) sessionStorage.setItem("llmsel-who", who);
  else who = "";
  document.activeElement?.blur();
});
$("keys").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button && !button.disabled) press(button.dataset.key);
});
document.addEventListener("keydown", (event) => {
  if (event.target === $("who") || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (!/^[1234urd]$/.test(key)) return;
  event.preventDefault();
  if (!event.repeat) press(key);
}, true);
for (const sign of ["keydown", "pointermove", "pointerdown", "scroll", "touchstart"])
  document.addEventListener(sign, () => {
    if (!who || !pair || Date.now() - touched < STILL) return;
    touched = Date.now();
    ask("/alive").catch(() => {});
  }, {capture: true, passive: true});
addEventListener("pagehide", () => { if (who) ask("/leave").catch(() => {}); });
addEventListener("pageshow", (event) => { if (event.persisted && who) turn("/next"); });

$("who").value = sessionStorage.getItem("llmsel-who") ?? "";
if ($("who").value) $("enter").requestSubmit();
else $("who").focus();
