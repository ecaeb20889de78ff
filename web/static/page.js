// Ties the page together: a photo and a point come in, the answer of the service goes out.

import * as answer from "./answer.js";
import { curlLine } from "./curl.js";
import * as picture from "./picture.js";
import { fields, hasKey, looksAtPoint, predict, readModels, useKey } from "./service.js";

const stage = document.getElementById("stage");
const form = document.getElementById("point");
const chooser = document.getElementById("file");
const inputs = { x: document.getElementById("x"), y: document.getElementById("y") };

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LONG_STEP = 10; // pixels, with Shift

let file = null;
let point = null; // {x, y} in pixels of the upright photo
let models = []; // by name, the default one first
let model = null; // the one that is asked
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
    if (!model) await readAll();
    drawCrops();
    const found = await predict(model, file, point, turn);
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
  if (model) drawCrops();
  answer.pointMoved();
}

async function readAll() {
  models = await readModels();
  const list = document.getElementById("model");
  list.replaceChildren(...models.map(({ name }) => new Option(name)));
  document.getElementById("models").hidden = models.length < 2;
  choose(models[0]);
}

function choose(chosen) {
  model = chosen;
  answer.layOut(model);
  document.getElementById("about").textContent = model.description;
  document.body.classList.toggle("whole", !looksAtPoint(model));
}

function drawCrops() {
  for (const { name, crop } of model.classifiers) {
    if (crop.pixels) {
      picture.drawPatch(crop, point);
      answer.describe(name, `${crop.pixels} × ${crop.pixels} pixels at the point`);
    } else {
      const { width, height } = picture.drawWindow(crop, point);
      const part = Math.round(crop.fraction * 100);
      answer.describe(name, part < 100 ? `${part} % window, ${width} × ${height} pixels` : "");
    }
  }
  const { href } = model.address;
  const line = curlLine(href, file.name, fields(model, point), hasKey());
  document.getElementById("curl").textContent = line;
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

document.getElementById("model").addEventListener("change", (event) => {
  takeTurn();
  choose(models[event.target.selectedIndex]);
  if (file) ask();
});

document.getElementById("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  useKey(document.getElementById("secret").value.trim());
  event.target.reset();
  answer.clear();
  try {
    await readAll();
    if (file) await ask();
  } catch (error) {
    answer.fail(error);
  }
});

readAll().catch(answer.fail);
