// Which part of a photo a classifier sees: the same rule as `Crop.box` in shared/images.py.

/** Return {left, top, width, height} in pixels of the upright photo, always inside it. */
export function box(crop, size, point) {
  const [left, width] = span(crop, size.width, point.x);
  const [top, height] = span(crop, size.height, point.y);
  return { left, top, width, height };
}

function span(crop, length, centre) {
  const wanted = crop.pixels ?? Math.max(1, Math.round(length * crop.fraction));
  const taken = Math.min(wanted, length);
  const start = Math.floor(centre) - Math.floor(taken / 2);
  return [clamp(start, 0, length - taken), taken];
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
