// The answer's side of the page: the two lists, the timing, or why there is no answer.

const MOST_SHOWN = 5;
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
  drawBars("themes", answer.themes);
  drawBars("colors", answer.colors);
  drawTiming(answer);
  lists.hidden = false;
  const best = ({ label, probability }) => `${label} ${percent(probability)}`;
  status.textContent =
    `At ${answer.point.x}, ${answer.point.y}: ` +
    `${best(answer.themes[0])}, ${best(answer.colors[0])}.`;
}

/** Show why there is no answer. */
export function fail(error) {
  clear();
  text("problem-title", error.message);
  text("problem-detail", error.detail ?? "");
  text("problem-retry", error.retryAfter ? whenToRetry(error.retryAfter) : "");
  text("problem-request", error.requestId ? `Request ${error.requestId}` : "");
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
