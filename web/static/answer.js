// The answer's side of the page: a list per classifier, the timing, or why there is no answer.

import { isSmall, looksAtPoint } from "./service.js";

const MOST_SHOWN = 5;
const TITLES = { colors: "Colours" }; // where it is not the classifier's name
const PARTS = [
  ["decode", "Decode"],
  ["queue", "Queue"],
  ["batch_wait", "Batch wait"],
  ["inference", "Inference"],
  ["total", "Total"],
];

const section = document.getElementById("answer");
const status = document.getElementById("status");
const lists = document.getElementById("lists");
const problem = document.getElementById("problem");
const bar = document.getElementById("bar");
const patch = document.getElementById("patch");
const block = document.getElementById("classifier");

let model = null; // whose answers are shown

/** Make a list for each classifier of a model, the magnified pixels beside the one that sees them. */
export function layOut(chosen) {
  clear();
  model = chosen;
  lists.append(patch);
  patch.hidden = true;
  const blocks = model.classifiers.map(({ name, crop }) => {
    const made = block.content.cloneNode(true);
    made.querySelector("h2 span").textContent = TITLES[name] ?? name[0].toUpperCase() + name.slice(1);
    made.querySelector("small").id = `${name}-seen`;
    made.querySelector("ol").id = name;
    if (crop.pixels && patch.hidden) {
      made.querySelector(".row").prepend(patch);
      patch.hidden = false;
    }
    return made;
  });
  document.getElementById("classifiers").replaceChildren(...blocks);
}

/** Say what a classifier sees of the photo. */
export function describe(name, seen) {
  document.getElementById(`${name}-seen`).textContent = seen;
}

/** Say that the answer is on its way; one that is shown stays, dimmed, until it is here. */
export function wait() {
  section.setAttribute("aria-busy", "true");
  problem.hidden = true;
  status.textContent = "Asking …";
}

/** Say that the answer shown, if any, is not for the point as it is now. */
export function pointMoved() {
  section.setAttribute("aria-busy", "true");
  status.textContent = "The point has moved. Press Enter or Ask for its answer.";
}

/** Take away what was said of the photo before. */
export function clear() {
  section.removeAttribute("aria-busy");
  lists.hidden = true;
  problem.hidden = true;
  status.textContent = "";
}

/** Show what the service answered, as in its HTTP contract. */
export function show(answer) {
  clear();
  for (const classifier of model.classifiers) {
    drawBars(classifier.name, answer[classifier.name]);
    drawSoftmax(classifier, answer[classifier.name]);
  }
  drawTiming(answer);
  lists.hidden = false;
  const best = model.classifiers.map(({ name }) => answer[name][0]);
  const where = looksAtPoint(model) ? `At ${answer.point.x}, ${answer.point.y}: ` : "";
  status.textContent =
    where + `${best.map(({ label, probability }) => `${label} ${percent(probability)}`).join(", ")}.`;
}

/** Show why there is no answer. */
export function fail(error) {
  clear();
  text("problem-title", error.message);
  text("problem-detail", error.detail ?? "");
  text("problem-retry", error.retryAfter ? whenToRetry(error.retryAfter) : "");
  text("problem-request", error.requestId ? `Request ${error.requestId}` : "");
  document.getElementById("key").hidden = error.status !== 401 && error.status !== 403;
  problem.hidden = false;
}

function drawBars(id, found) {
  const items = found.slice(0, MOST_SHOWN).map(({ label, probability }) => {
    const item = bar.content.cloneNode(true);
    item.querySelector(".label").textContent = label;
    item.querySelector(".percent").textContent = percent(probability);
    item.querySelector(".bar > div").style.width = `${probability * 100}%`;
    return item;
  });
  document.getElementById(id).replaceChildren(...items);
}

/** Draw all probabilities as columns, in the labels' own order, where the answer has them. */
function drawSoftmax(classifier, found) {
  const chart = document.getElementById(classifier.name).closest("section").querySelector(".softmax");
  chart.hidden = !isSmall(classifier) || found.length < classifier.labels.length;
  if (chart.hidden) return;
  const known = new Map(found.map(({ label, probability }) => [label, probability]));
  const columns = classifier.labels.map((label) => {
    const column = document.createElement("li");
    column.title = `${label} ${percent(known.get(label))}`;
    column.appendChild(document.createElement("div")).style.height = `${known.get(label) * 100}%`;
    column.appendChild(document.createElement("span")).textContent = label;
    return column;
  });
  chart.replaceChildren(...columns);
}

function drawTiming(answer) {
  const measured = PARTS.map(([key, name]) => [name, `${answer.timing_ms[key].toFixed(1)} ms`]);
  const pairs = [...measured, ["Batch size", answer.batch_size]].map(([name, value]) => {
    const pair = document.createElement("div");
    for (const [kind, content] of [["dt", name], ["dd", value]]) {
      pair.appendChild(document.createElement(kind)).textContent = content;
    }
    return pair;
  });
  document.getElementById("timing").replaceChildren(...pairs);
  text("served-by", `model ${answer.model}, version ${answer.version}`);
}

function percent(probability) {
  const number = probability > 0 && probability < 0.001 ? "< 0.1" : (probability * 100).toFixed(1);
  return `${number}\u00a0%`;
}

function whenToRetry(header) {
  const seconds = Number(header);
  if (Number.isNaN(seconds)) return `Try again after ${new Date(header).toLocaleTimeString()}.`;
  return seconds === 1 ? "Try again in 1 second." : `Try again in ${seconds} seconds.`;
}

function text(id, content) {
  const element = document.getElementById(id);
  element.textContent = content;
  element.hidden = !content;
}
