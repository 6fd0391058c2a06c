// The panes of `panes.py`: opacity, zoom, swipe, and the name under the mouse or the finger. It asks the server nothing.
const state = { opacity: 45, scale: 1, x: 0, y: 0, swipe: false, at: 50, key: "" };
const panes = () => element.querySelector(".panes");
const tool = (selector) => element.querySelector(`.tools ${selector}`);
const stages = () => [...element.querySelectorAll(".stage")];

function apply() {
  const all = panes();
  if (!all) return;
  const runs = Number(all.dataset.runs);
  all.classList.toggle("swipe", state.swipe);
  all.style.setProperty("--opacity", state.opacity / 100);
  all.style.setProperty("--at", `${state.at}%`);
  tool(".at").hidden = !state.swipe;
  tool("[name=at]").value = state.at;
  tool("[name=opacity]").value = state.opacity;
  tool("[data-do=swipe]").setAttribute("aria-pressed", String(state.swipe));
  tool("[data-do=swipe]").textContent = runs > 1 ? "Swipe one over the other" : "Swipe over the picture";
  tool(".size").textContent = `${Math.round(state.scale * 100)} %`;
  for (const stage of stages()) {
    stage.classList.toggle("zoomed", state.scale > 1);
    stage.querySelector(".moved").style.transform =
      `translate(${state.x * 100}%, ${state.y * 100}%) scale(${state.scale})`;
  }
}

// The point (u, v) of the stage, in shares of its size, stays where it is.
function zoom(factor, u = 0.5, v = 0.5) {
  const scale = Math.min(8, Math.max(1, state.scale * factor));
  state.x = u - ((u - state.x) * scale) / state.scale;
  state.y = v - ((v - state.y) * scale) / state.scale;
  state.scale = scale;
  move(0, 0);
}

function move(u, v) {
  const least = 1 - state.scale;
  state.x = Math.min(0, Math.max(least, state.x + u));
  state.y = Math.min(0, Math.max(least, state.y + v));
  apply();
}

// What each pane holds at the point under the mouse, read from the map that came with it.
const maps = new WeakMap();
async function mapOf(stage) {
  if (!maps.has(stage)) {
    const image = new Image();
    image.src = stage.dataset.read;
    maps.set(stage, image.decode().then(() => {
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.drawImage(image, 0, 0);
      return pen.getImageData(0, 0, canvas.width, canvas.height);
    }));
  }
  return maps.get(stage);
}

// Maps take a while to be read: what was asked before the last question, or before quiet(), is told no more.
let asked = 0;
async function tell(u, v) {
  const question = ++asked;
  const all = await Promise.all(stages().map(async (stage) => [stage, await mapOf(stage)]));
  if (question !== asked) return;
  for (const [stage, map] of all) {
    const x = Math.floor(((u - state.x) / state.scale) * map.width);
    const y = Math.floor(((v - state.y) / state.scale) * map.height);
    const tip = stage.querySelector(".tip");
    if (x < 0 || y < 0 || x >= map.width || y >= map.height) { tip.textContent = ""; continue; }
    const [low, high, sure] = map.data.subarray(4 * (y * map.width + x), 4 * (y * map.width + x) + 3);
    const part = low + 256 * high;
    tip.textContent = `${JSON.parse(stage.dataset.words)[part]}, ${Math.round(sure / 2.55)}\u00a0% sure`;
    tip.style.left = `${u * 100}%`;
    tip.style.top = `${v * 100}%`;
    tip.classList.toggle("left", u > 0.5); // each half has room for half of the width
    tip.classList.toggle("above", v > 0.7);
    for (const row of stage.closest(".pane").querySelectorAll("tr[data-part]"))
      row.classList.toggle("pointed", Number(row.dataset.part) === part);
  }
}

function quiet() {
  asked += 1;
  for (const tip of element.querySelectorAll(".tip")) tip.textContent = "";
  for (const row of element.querySelectorAll("tr.pointed")) row.classList.remove("pointed");
}

function share(event, stage) {
  const box = stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

let held = null;
element.addEventListener("pointerdown", (event) => {
  const stage = event.target.closest(".stage");
  if (!stage) return quiet();
  held = { id: event.pointerId, at: share(event, stage) };
  tell(...held.at);
});
element.addEventListener("pointermove", (event) => {
  const stage = event.target.closest(".stage");
  if (!stage) return quiet();
  const at = share(event, stage);
  if (held && held.id === event.pointerId && event.buttons) {
    if (state.scale > 1) move(at[0] - held.at[0], at[1] - held.at[1]);
    held.at = at;
  }
  tell(...at);
});
for (const kind of ["pointerup", "pointercancel"]) element.addEventListener(kind, () => { held = null; });
// A finger leaves when it is lifted, and what it asked for stays to be read; cancelled, it was scrolling the page.
element.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") quiet(); });
element.addEventListener("pointercancel", quiet);
element.addEventListener("wheel", (event) => {
  const stage = event.target.closest(".stage");
  if (!stage || !(event.ctrlKey || event.metaKey || state.scale > 1)) return; // else the page scrolls
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...share(event, stage));
}, { passive: false });
element.addEventListener("dblclick", (event) => {
  const stage = event.target.closest(".stage");
  if (stage) zoom(2, ...share(event, stage));
});
element.addEventListener("keydown", (event) => {
  if (!event.target.classList.contains("stage")) return;
  const done = {
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(1e-9),
    ArrowLeft: () => move(0.1, 0), ArrowRight: () => move(-0.1, 0), ArrowUp: () => move(0, 0.1), ArrowDown: () => move(0, -0.1),
  }[event.key];
  if (!done || (event.key.startsWith("Arrow") && state.scale === 1)) return;
  event.preventDefault();
  done();
});
element.addEventListener("input", (event) => {
  if (event.target.name === "opacity") state.opacity = Number(event.target.value);
  if (event.target.name === "at") state.at = Number(event.target.value);
  apply();
});
element.addEventListener("click", (event) => {
  const what = event.target.closest("[data-do]")?.dataset.do;
  if (what === "in") zoom(1.5);
  if (what === "out") zoom(1 / 1.5);
  if (what === "whole") zoom(1e-9);
  if (what === "swipe") { state.swipe = !state.swipe; apply(); }
  if (what === "screen") document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen();
});

function fresh() {
  element.querySelector(".tools").hidden = !stages().length;
  const key = panes()?.dataset.key;
  if (key && key !== state.key) {
    Object.assign(state, { scale: 1, x: 0, y: 0 });
    const box = element.getBoundingClientRect();
    if (box.top < 0 || box.top > window.innerHeight * 0.6) element.scrollIntoView({ block: "start" });
  }
  state.key = key;
  apply();
}
watch("value", fresh);
fresh();

// The link of the head opens the tab that it names.
document.addEventListener("click", (event) => {
  const tab = event.target.closest?.("a[data-tab]")?.dataset.tab;
  if (!tab) return;
  event.preventDefault();
  [...document.querySelectorAll("button[role=tab]")].find((button) => button.textContent.trim() === tab)?.click();
});

// Enter segments, Shift+Enter makes a line.
for (const kind of ["keydown", "keypress"]) {
  document.addEventListener(kind, (event) => {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches?.("#names textarea")) return;
    event.stopImmediatePropagation();
    if (event.shiftKey) return;
    event.preventDefault();
    if (kind === "keydown") document.querySelector("#segment").click();
  }, { capture: true });
}
