// The service that this page came from: its models, and their answers.

const MODELS = new URL("models", document.baseURI);

/** Why there is no answer, in words for a person. */
export class Problem extends Error {
  constructor(title, { status = 0, detail = "", retryAfter = "", requestId = "" } = {}) {
    super(title);
    this.status = status; // of HTTP; 0 where there is no answer
    this.detail = detail;
    this.retryAfter = retryAfter; // the header as sent: seconds, or a date
    this.requestId = requestId;
  }
}

let key = ""; // the API key, where the service asks for one; kept nowhere else

/** Bring `given` as the API key from now on. */
export function useKey(given) {
  key = given;
}

/** Return whether an API key is brought. */
export function hasKey() {
  return key !== "";
}

/** Return the models as the service lists them, each with its `address`, the default one first. */
export async function readModels() {
  const listed = await ask(MODELS);
  const isDefault = ({ name }) => name === listed.default;
  return listed.models
    .map((model) => ({
      ...model,
      address: new URL(isDefault(model) ? "predict" : `predict/${model.name}`, document.baseURI),
    }))
    .sort((one, other) => isDefault(other) - isDefault(one));
}

/** Return what a form for `model` has beside the image, for `point` ({x, y}, upright pixels). */
export function fields(model, point) {
  const most = Math.max(...model.classifiers.filter(isSmall).map(({ labels }) => labels.length));
  return {
    ...(looksAtPoint(model) ? { x: point.x, y: point.y } : {}),
    ...(!looksAtPoint(model) && most > 0 ? { top_k: most } : {}),
  };
}

/** Return whether it matters to `model` where the point is. */
export function looksAtPoint(model) {
  return model.classifiers.some(({ crop }) => !(crop.fraction >= 1));
}

/** Return whether a classifier has so few labels that all of them can be shown. */
export function isSmall({ labels }) {
  return labels.length <= 100;
}

/** Return the answer of `model` for `point` ({x, y}, pixels of the upright photo). */
export function predict(model, file, point, signal) {
  const body = new FormData();
  body.append("image", file);
  for (const [name, value] of Object.entries(fields(model, point))) body.append(name, value);
  return ask(model.address, { method: "POST", body, signal });
}

async function ask(url, options) {
  let response;
  let body;
  try {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    response = await fetch(url, { ...options, headers });
    body = await response.text();
  } catch {
    throw new Problem("No answer from the service", {
      detail: "It cannot be reached, or the connection was cut. Try again in a moment.",
    });
  }
  const read = parse(body);
  if (response.ok && read) return read;
  throw new Problem(read?.title ?? `The service answered ${response.status}`, {
    status: response.status,
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
