// The service that this page came from: what its default model looks at, and its answers.

export const PREDICT = new URL("predict", document.baseURI);
const MODELS = new URL("models", document.baseURI);

/** Why there is no answer, in words for a person. */
export class Problem extends Error {
  constructor(title, { detail = "", retryAfter = "", requestId = "" } = {}) {
    super(title);
    this.detail = detail;
    this.retryAfter = retryAfter; // the header as sent: seconds, or a date
    this.requestId = requestId;
  }
}

/** Return the crops of the default model: {classifier name: {fraction} or {pixels}}. */
export async function readCrops() {
  const listed = await ask(MODELS);
  const model = listed.models.find(({ name }) => name === listed.default);
  return Object.fromEntries(model.classifiers.map(({ name, crop }) => [name, crop]));
}

/** Return the service's answer for `point` ({x, y}, pixels of the upright photo). */
export function predict(file, point, signal) {
  const body = new FormData();
  body.append("image", file);
  body.append("x", point.x);
  body.append("y", point.y);
  return ask(PREDICT, { method: "POST", body, signal });
}

async function ask(url, options) {
  let response;
  let body;
  try {
    response = await fetch(url, options);
    body = await response.text();
  } catch {
    throw new Problem("No answer from the service", {
      detail: "It cannot be reached, or the connection was cut. Try again in a moment.",
    });
  }
  const read = parse(body);
  if (response.ok && read) return read;
  throw new Problem(read?.title ?? `The service answered ${response.status}`, {
    detail: read?.detail ?? "It gave no reason that can be shown here.",
    retryAfter: response.headers.get("Retry-After") ?? "",
    requestId: read?.request_id ?? "",
  });
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null; // a proxy in between answers in its own words
  }
}
