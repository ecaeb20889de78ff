"""Ink → another hand's ink → a photo of it: how the network's examples are made.

A made photo goes through the same steps as a client's; here only the ink, the paper, the light
and the camera are made up.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]  # ships no types

from shared.images import Pixels

Floats = npt.NDArray[np.float32]
Random = np.random.Generator


def rewritten(ink: Pixels, random: Random) -> Floats:
    """Return `ink` (uint8 [h, w], trimmed) as another hand would write it: 0-1, another size.

    Turned by some 5 degrees, slanted, stretched, bent, with a thicker or thinner pen.
    """
    size = random.uniform(20, 46)
    turn, slant = random.normal(0, 0.09), random.normal(0, 0.14)
    across, along = np.exp(random.normal(0, 0.12, 2))
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[along, 0], [slant, across]])
    scale = size / max(ink.shape)
    side = int(np.ceil(size * 1.5))
    back = np.linalg.inv(matrix * scale)
    middle = np.array([(side - 1) / 2, (side - 1) / 2])
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij")).astype(np.float32)
    bend = random.normal(0, 0.028 * size, (2, 5, 5))
    bend = np.stack([ndimage.zoom(field, side / 5, order=2, grid_mode=True, mode="nearest")
                     for field in bend])  # fmt: skip
    steps = (grid + bend[:, :side, :side] - middle[:, None, None]).reshape(2, -1)
    places = back @ steps + (np.array(ink.shape)[:, None] - 1) / 2
    smooth = ink.astype(np.float32) / 255
    if scale < 1:
        smooth = ndimage.gaussian_filter(smooth, 0.45 / scale)
    drawn = ndimage.map_coordinates(smooth, places, order=1).reshape(side, side)
    # A blur and a threshold off the middle thicken or thin a stroke.
    blur = random.uniform(0.3, 1.3) * size / 32
    level, gain = random.uniform(0.2, 0.55), random.uniform(2, 5)
    drawn = ndimage.gaussian_filter(drawn, blur)
    drawn /= max(float(drawn.max()), 1e-3)
    return np.asarray(np.clip((drawn - level) * gain + 0.5, 0, 1), np.float32)


def photographed(ink: Floats, random: Random) -> Pixels:
    """Return a photo of `ink` (0-1, [h, w]) on paper: uint8 RGB, a little larger."""
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.3), np.flatnonzero(ink.max(axis=0) > 0.3)
    if not len(rows):
        return np.full((*ink.shape, 3), 255, np.uint8)
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    around = (random.uniform(0.03, 0.6, (2, 2)) * max(ink.shape)).astype(int) + 1
    ink = np.pad(ink, around)
    height, width = ink.shape
    if random.random() < 0.12:
        _add_neighbour(ink, random)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    paper = random.uniform(140, 250)
    light = 1 + random.normal(0, 0.05) * x + random.normal(0, 0.05) * y
    if random.random() < 0.15:  # a shadow over one side
        edge = random.normal(0, 1) * x + random.normal(0, 1) * y + random.normal(0, 0.6)
        light *= 1 - random.uniform(0.05, 0.3) / (1 + np.exp(-edge * random.uniform(2, 10)))
    pen = random.uniform(0.25, 0.95)
    uneven = ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 2.5)
    picture = paper * light * (1 - pen * ink * np.clip(1 + 0.6 * uneven, 0.4, 1.2))
    if random.random() < 0.08:
        picture[random.integers(height)] -= random.uniform(10, 60)
    picture = ndimage.gaussian_filter(picture, random.uniform(0, 0.9))
    picture += random.normal(0, random.uniform(0, 5), picture.shape)
    if random.random() < 0.1:
        picture = 255 - picture
    rgb = np.repeat(picture.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if random.random() < 0.4:
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "JPEG", quality=int(random.integers(40, 95)))
        rgb = np.asarray(Image.open(file))
    return rgb


def _add_neighbour(ink: Floats, random: Random) -> None:
    """Draw a stroke's end at one edge of the picture, as of the next character."""
    height, width = ink.shape
    length = max(2, int(0.12 * max(height, width)))
    place = int(random.integers(0, width))
    thick = int(random.integers(1, 3))
    rows = slice(0, length // 2) if random.random() < 0.5 else slice(height - length // 2, height)
    ink[rows, place : place + thick] = 1
