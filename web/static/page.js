// Ties the page together: a photo and a point come in, the answer of the service goes out.

import * as answer from "./answer.js";
import { curlLine } from "./curl.js";
import * as picture from "./picture.js";
import { PREDICT, predict, readCrops } from "./service.js";

const stage = document.getElementById("stage");
const form = document.getElementById("point");
const chooser = document.getElementById("file");
const inputs = { x: document.getElementById("x"), y: document.getElementById("y") };

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LONG_STEP = 10; // pixels, with Shift

let file = null;
let point = null; // {x, y} in pixels of the upright photo
let crops = null; // of the model's classifiers, by name
let latest = new AbortController(); // whose work may still change the page

async function open(chosen) {
  const turn = takeTurn();
  try {
    const image = await picture.read(chosen);
    if (turn.aborted) return;
    file = chosen;
    picture.show(image);
  } catch (error) {
    if (!turn.aborted) answer.fail(error);
    return;
  }
  answer.clear();
  document.body.classList.add("open");
  form.hidden = false;
  document.getElementById("command").hidden = false;
  const { width, height } = picture.size();
  inputs.x.max = width - 1;
  inputs.y.max = height - 1;
  document.getElementById("choose").textContent = "Choose another";
  document.getElementById("name").textContent = `${file.name}, ${width} × ${height}`;
  move(picture.centre());
  await ask();
}

/** Ask for the point as it is now; an answer that is still on its way is not waited for. */
async function ask() {
  const turn = takeTurn();
  answer.wait();
  try {
    crops ??= await readCrops();
    drawCrops();
    const found = await predict(file, point, turn);
    if (!turn.aborted) answer.show(found);
  } catch (error) {
    if (!turn.aborted) answer.fail(error);
  }
}

function takeTurn() {
  latest.abort();
  latest = new AbortController();
  return latest.signal;
}

function move(to) {
  takeTurn();
  point = to;
  for (const [axis, input] of Object.entries(inputs)) {
    if (input.value !== String(point[axis])) input.value = point[axis];
  }
  picture.mark(point);
  if (crops) drawCrops();
  document.getElementById("curl").textContent = curlLine(PREDICT.href, file.name, point);
  answer.pointMoved();
}

function drawCrops() {
  const seen = picture.drawWindow(crops.themes, point);
  document.getElementById("window-size").textContent =
    `${Math.round(crops.themes.fraction * 100)} % window, ${seen.width} × ${seen.height} pixels`;
  picture.drawPatch(crops.colors, point);
  document.getElementById("patch-size").textContent =
    `${crops.colors.pixels} × ${crops.colors.pixels} pixels at the point`;
}

async function copy(event) {
  const line = document.getElementById("curl");
  getSelection().selectAllChildren(line);
  let copied = true;
  try {
    await navigator.clipboard.writeText(line.textContent);
  } catch {
    copied = document.execCommand("copy"); // the clipboard is there on https and localhost only
  }
  event.target.textContent = copied ? "Copied" : "Selected";
  setTimeout(() => (event.target.textContent = "Copy"), 2000);
}

chooser.addEventListener("change", () => {
  if (chooser.files.length) open(chooser.files[0]);
  chooser.value = ""; // the same file may be chosen again
});

document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) open(event.clipboardData.files[0]);
});

document.addEventListener("dragover", (event) => {
  event.preventDefault(); // else the browser would leave the page for the photo
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
});

stage.addEventListener("click", (event) => {
  move(picture.pixelAt(event));
  ask();
});

stage.addEventListener("keydown", (event) => {
  if (event.key === "Enter") ask();
  const step = STEPS[event.key];
  if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault(); // the page would scroll
  const length = event.shiftKey ? LONG_STEP : 1;
  move(picture.onPhoto({ x: point.x + step[0] * length, y: point.y + step[1] * length }));
});

form.addEventListener("input", () => {
  if (!form.checkValidity()) return;
  move({ x: inputs.x.valueAsNumber, y: inputs.y.valueAsNumber });
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (form.reportValidity()) ask();
});

document.getElementById("copy").addEventListener("click", copy);

readCrops().then((read) => (crops = read), answer.fail);
