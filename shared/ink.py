"""Finds the writing in a picture: of ink on paper, on a board or on a screen, photo or scan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageFilter

from shared.components import label

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Size = tuple[int, int]  # height, width

_COARSE = 64  # pixels of the longest side at which the paper is looked at
_STROKE = 0.3  # of the longest side: no stroke is as wide
_RING = 0.12  # of each side: the border that is mostly paper

_OPEN = 0.4  # of the picture's edge is at most as bright as the sheet that lies inside it
_SHEET = 0.4  # of the picture's width and height has a sheet at least
_FILLED = 0.8  # of its box: a disc fills 0.785

# Of the ink's strength over the paper: a stroke is at least `_SURE` somewhere and ends at `_EDGE`.
_SURE, _EDGE = 0.5, 0.25
_FAINT = 0.15  # what is fainter is noise, unless the paper has less of that
_SIGMAS = 2.5  # how far noise reaches
_STRONGEST = 0.0005  # of the pixels are surely ink
_LINE = 0.9  # of the width: a ruled line is as long, and reaches both edges

_SPECK = 0.03  # of the largest part's ink: what has less is dirt
_APART = 0.8  # of the largest part's longest side: what is farther away is no part of it
_AT_EDGE = 0.5  # of the largest part's ink: what has less and is cut by the edge is a neighbour


def sheet(picture: Floats, _: Size) -> Floats:
    """Cut out the sheet of paper, where one lies on something darker."""
    coarse = np.asarray(_coarse(picture), np.float32)
    bright = coarse > (coarse.max() + coarse.min()) / 2
    around = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    if around.mean() > _OPEN:
        return picture
    parts = label(bright)
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    rows, columns = np.nonzero(parts == counts.argmax())
    if not len(rows):
        return picture
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    high, wide = bottom - top, right - left
    if high < _SHEET * bright.shape[0] or wide < _SHEET * bright.shape[1] or min(high, wide) < 8:
        return picture
    if counts.max() < _FILLED * high * wide:  # a round letter fills less of its box
        return picture
    scale = picture.shape[0] / coarse.shape[0]
    within = 1 + 0.03 * min(high, wide)  # coarse pixels: the sheet's edge is left out
    box = [round(edge * scale) for edge in
           (top + within, bottom - within, left + within, right - within)]  # fmt: skip
    return picture[box[0] : box[1], box[2] : box[3]]


def invert(picture: Floats, _: Size) -> Floats:
    """Make the ink the bright one, whatever it was.

    A surface is laid through the border, which is paper. What is far from it is ink.
    """
    off = _off_border(np.asarray(_coarse(picture), np.float32))
    return 255 - picture if (off**3).sum() < 0 else picture


def clean(picture: Floats, _: Size) -> Floats:
    """Make the paper 0 and the ink up to 255; take away lines, specks and neighbours."""
    ink = picture - _paper(picture)
    ink -= np.median(ink)
    noise = 1.4826 * float(np.median(np.abs(ink)))
    count = max(4, int(_STRONGEST * ink.size))
    peak = float(np.partition(ink.ravel(), -min(count, ink.size))[-min(count, ink.size)])
    if peak <= 3 * noise:
        return np.zeros_like(ink)
    ink = _without_lines(ink, _EDGE * peak)
    floor = min(_FAINT * peak, _SIGMAS * noise)
    written = _written(ink, max(_EDGE * peak, floor), max(_SURE * peak, _SIGMAS * noise))
    return np.where(written, (ink - floor) * (255 / (peak - floor)), 0).clip(0, 255)


def _coarse(picture: Floats) -> Image.Image:
    """Return `picture` at `_COARSE` pixels at most: enough to see the paper."""
    height, width = picture.shape
    scale = max(1.0, max(height, width) / _COARSE)
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    return Image.fromarray(picture.astype(np.uint8)).resize(size, Image.Resampling.BOX)


def _off_border(picture: Floats) -> Floats:
    """Return how far each pixel is from a smooth surface (of second degree) through the border."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in picture.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    border = np.maximum(np.abs(x), np.abs(y)) > 1 - 2 * _RING
    kept = border
    for _ in range(3):  # writing that reaches into the border is left out step by step
        inside = terms[kept]
        weights = np.linalg.pinv(inside.T @ inside) @ (inside.T @ picture[kept])
        off = picture - terms @ weights
        kept = border & (np.abs(off) <= max(2.0, 2 * float(np.median(np.abs(off[border])))))
    return np.asarray(off, np.float32)


def _paper(picture: Floats) -> Floats:
    """Return the paper under bright ink, [h, w]: what is left when strokes are too thin to stay."""
    coarse = _coarse(picture)
    window = 2 * round(_STROKE * max(coarse.size) / 2) + 1
    opened = _of_window(_of_window(np.asarray(coarse), window, np.min), window, np.max)
    smooth = Image.fromarray(opened).filter(ImageFilter.BoxBlur(window / 4))
    return resized(np.asarray(smooth, np.float32), picture.shape[1], picture.shape[0])


def _of_window(values: Pixels, window: int, pick: Callable[..., Pixels]) -> Pixels:
    """Return the least or the largest value of the square around each pixel, `window` wide."""
    for _ in range(2):  # down the columns, then along the rows; Pillow's filter takes far longer
        around = np.pad(values, ((window // 2, window // 2), (0, 0)), mode="edge")
        values = pick(sliding_window_view(around, window, axis=0), axis=-1).T
    return np.ascontiguousarray(values)


def _without_lines(ink: Floats, edge: float) -> Floats:
    """Return `ink` without the straight lines from one edge of the picture to the other."""
    for view in (ink, ink.T):
        dark = view > edge
        lines = (dark.mean(axis=1) > _LINE) & dark[:, 0] & dark[:, -1]
        if not lines.any() or lines.mean() > 0.5:
            continue
        free = np.flatnonzero(~lines)
        for row in np.flatnonzero(lines):  # a stroke that crosses the line goes on through it
            above, below = free[free < row], free[free > row]
            beside = [view[rows] for rows in (above[-1:], below[:1]) if len(rows)]
            view[row] = np.concatenate(beside).min(axis=0)
    return ink


def _written(ink: Floats, edge: float, sure: float) -> Mask:
    """Return where the writing is: its largest part, and what belongs to that."""
    parts = label(ink > edge)
    count = int(parts.max()) + 1
    mass = np.bincount(parts.ravel(), ink.ravel(), count)
    mass[0] = 0
    strongest = np.zeros(count)
    np.maximum.at(strongest, parts.ravel(), ink.ravel())
    mass[strongest < sure] = 0
    at_edge = np.zeros(count, np.bool_)
    for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        at_edge[side] = True
    inside = np.where(at_edge, 0, mass)
    largest = int(inside.argmax())
    if inside[largest] < _AT_EDGE * mass.max():
        largest = int(mass.argmax())
    if not mass[largest]:
        return np.zeros(ink.shape, np.bool_)
    kept = mass >= _SPECK * mass[largest]
    kept &= ~at_edge | (mass >= _AT_EDGE * mass[largest])
    first, last = _boxes(parts, count)
    reach = _APART * (last[:, largest] - first[:, largest] + 1).max()
    gaps = np.maximum(first - last[:, [largest]], first[:, [largest]] - last).max(axis=0)
    kept &= gaps <= reach
    kept[largest] = True
    mask = Image.fromarray(kept[parts].astype(np.uint8)).filter(ImageFilter.MaxFilter(5))
    return np.asarray(mask).astype(np.bool_)


def _boxes(parts: npt.NDArray[np.intp], count: int) -> tuple[Floats, Floats]:
    """Return the first and the last row and column of each part: two arrays [2, count]."""
    first = np.full((2, count), max(parts.shape), np.float32)
    last = np.zeros((2, count), np.float32)
    for axis, place in enumerate(np.nonzero(parts)):
        numbers = parts[parts > 0]
        np.minimum.at(first[axis], numbers, place.astype(np.float32))
        np.maximum.at(last[axis], numbers, place.astype(np.float32))
    return first, last


def resized(picture: Floats, width: int, height: int) -> Floats:
    """Return `picture` at another size, [height, width]."""
    if picture.shape == (height, width):
        return picture
    image = Image.fromarray(picture.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).clip(0, 255)
