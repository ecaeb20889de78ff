// The photo, the point on it, and what the classifiers see around that point.

import { box, clamp } from "./crop.js";
import { Problem } from "./service.js";

const stage = document.getElementById("stage");
const frame = document.getElementById("window");
const marker = document.getElementById("marker");
const canvas = document.getElementById("pixels");
const cell = document.getElementById("cell");

let photo = new Image();

/** Return `file` as an image, upright by its EXIF orientation. Throws `Problem`. */
export async function read(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
  } catch {
    URL.revokeObjectURL(image.src);
    throw new Problem("This file cannot be shown as a photo", {
      detail: `“${file.name}” is broken, or it is not a JPEG, PNG, WebP, GIF or BMP image.`,
    });
  }
  return image;
}

/** Put `image` on the stage in place of the photo before it. */
export function show(image) {
  URL.revokeObjectURL(photo.src);
  photo.remove();
  photo = image;
  photo.alt = "";
  photo.draggable = false;
  stage.prepend(photo);
  // The stage has the photo's shape, as large as the column and the screen's height allow.
  stage.style.setProperty("--ratio", photo.naturalWidth / photo.naturalHeight);
  stage.hidden = false;
  stage.focus({ preventScroll: true });
}

/** Return the photo's {width, height} in pixels, upright. */
export function size() {
  return { width: photo.naturalWidth, height: photo.naturalHeight };
}

/** Return where the service sets the point that nobody named. */
export function centre() {
  const { width, height } = size();
  return { x: Math.floor(width / 2), y: Math.floor(height / 2) };
}

/** Return the pixel of the photo under a mouse or touch event. */
export function pixelAt(event) {
  const { left, top, width, height } = photo.getBoundingClientRect();
  return onPhoto({
    x: Math.floor(((event.clientX - left) / width) * photo.naturalWidth),
    y: Math.floor(((event.clientY - top) / height) * photo.naturalHeight),
  });
}

/** Return the pixel of the photo that is nearest to `point`. */
export function onPhoto({ x, y }) {
  return { x: clamp(x, 0, photo.naturalWidth - 1), y: clamp(y, 0, photo.naturalHeight - 1) };
}

/** Mark `point` on the photo. */
export function mark({ x, y }) {
  // The middle of the pixel.
  place(marker, { left: x + 0.5, top: y + 0.5 }, size());
}

/** Draw the window that the themes come from; returns its box in pixels. */
export function drawWindow(crop, point) {
  const seen = box(crop, size(), point);
  place(frame, seen, size());
  return seen;
}

/** Draw the pixels that the colours come from, magnified; returns their box. */
export function drawPatch(crop, point) {
  const seen = box(crop, size(), point);
  const side = crop.pixels;
  // A photo smaller than the patch: its edge is repeated on both sides, as `cut` does.
  const before = { x: Math.floor((side - seen.width) / 2), y: Math.floor((side - seen.height) / 2) };
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d", { alpha: false });
  context.fillStyle = "white"; // transparent pixels are over white, as on the service
  context.fillRect(0, 0, side, side);
  context.imageSmoothingEnabled = false;
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const left = seen.left + clamp(x - before.x, 0, seen.width - 1);
      const top = seen.top + clamp(y - before.y, 0, seen.height - 1);
      context.drawImage(photo, left, top, 1, 1, x, y, 1, 1);
    }
  }
  place(
    cell,
    {
      left: point.x - seen.left + before.x,
      top: point.y - seen.top + before.y,
      width: 1,
      height: 1,
    },
    { width: side, height: side },
  );
  return seen;
}

function place(element, seen, whole) {
  const percent = (part, of) => `${(part / of) * 100}%`;
  element.style.left = percent(seen.left, whole.width);
  element.style.top = percent(seen.top, whole.height);
  if (seen.width === undefined) return;
  element.style.width = percent(seen.width, whole.width);
  element.style.height = percent(seen.height, whole.height);
}
