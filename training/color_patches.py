"""Patches made for what single pixels cannot show: metal, many colours, black & white.

A surface is drawn four times too large with its gradients, highlights and edges, made smaller,
and stored as JPEG at a product photo's quality, so that its noise is theirs.
"""

from __future__ import annotations

import colorsys
import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from shared.images import Pixels

Surface = npt.NDArray[np.float64]  # [side, side, 3], RGB 0-1
_SIDE = 24  # of the picture that the 9x9 patch is cut from, so that JPEG's blocks lie anyhow
_METALS = {  # hue in degrees, saturation, darkest, brightest: from, to
    "silver": ((0, 360), (0.0, 0.07), (0.25, 0.6), (0.8, 1.0)),
    "gold": ((36, 50), (0.35, 0.75), (0.25, 0.6), (0.75, 1.0)),
    "rose gold": ((6, 24), (0.22, 0.48), (0.35, 0.65), (0.8, 1.0)),
}
MADE = (*_METALS, "black & white", "multi-colored")


def make_patches(label: str, count: int, random: np.random.Generator) -> Pixels:
    """Return `count` patches of a label out of `MADE`: uint8 [count, 9, 9, 3]."""
    patches: list[Pixels] = []
    while len(patches) < count:
        patch = _photograph(_surface(label, random), random)
        if label in _METALS or _shows_its_colours(patch):
            patches.append(patch)
    return np.stack(patches)


def _shows_its_colours(patch: Pixels) -> bool:
    """Whether no single colour fills more than two thirds of a patterned patch."""
    coarse = (patch // 64).reshape(-1, 3) @ (16, 4, 1)
    return bool(np.bincount(coarse).max() * 3 <= len(coarse) * 2)


def _surface(label: str, random: np.random.Generator) -> Surface:
    if label in _METALS:
        return _metal(label, random)
    if label == "black & white":
        dark, light = random.uniform(0, 0.16), random.uniform(0.84, 1)
        return _pattern(np.array([[dark] * 3, [light] * 3]), random)
    return _pattern(_many_colours(random), random)


def _many_colours(random: np.random.Generator) -> Surface:
    count = random.integers(3, 7)
    hues = (random.random() + np.arange(count) / count + random.normal(0, 0.04, count)) % 1
    random.shuffle(hues)
    return np.array(
        [colorsys.hsv_to_rgb(hue, random.uniform(0.45, 1), random.uniform(0.4, 1)) for hue in hues]
    )


def _metal(label: str, random: np.random.Generator) -> Surface:
    """Bands of dark and bright reflections, and a highlight that loses its colour."""
    hues, saturations, darkest, brightest = (random.uniform(*span) for span in _METALS[label])
    along = _ramp(random)
    bands = random.uniform(0.4, 2.2)
    light = 0.5 + 0.5 * np.sin(2 * np.pi * (bands * along + random.random()))
    light = light ** random.uniform(0.6, 2.5)
    value = darkest + (brightest - darkest) * light
    value += random.normal(0, random.uniform(0, 0.04), value.shape)
    glint = np.clip((light - 0.8) / 0.2, 0, 1) * random.uniform(0, 0.8)
    base = np.array(colorsys.hsv_to_rgb(hues / 360, saturations, 1.0))
    coloured = value[..., None] * base
    return np.asarray(coloured + (value[..., None] - coloured) * glint[..., None])


def _pattern(colours: Surface, random: np.random.Generator) -> Surface:
    """Stripes, checks, blocks, dots or a print in the given colours."""
    kind = random.integers(4)
    period = random.uniform(2.5, 9) / _SIDE  # of one colour, in pixels of the patch
    along, across = _ramp(random), _ramp(random)
    if kind == 0:
        index = np.floor(along / period)
    elif kind == 1:
        index = np.floor(along / period) + np.floor(across / period)
    elif kind == 2:
        cells = random.integers(len(colours), size=(64, 64))
        index = cells[_cell(along, period), _cell(across, period)]
    else:
        size = max(3, int(1 / period))
        blobs = Image.fromarray(random.random((size, size)).astype(np.float32))
        field = np.asarray(blobs.resize((_SIDE * 4, _SIDE * 4), Image.Resampling.BICUBIC))
        ranks = np.argsort(np.argsort(field.ravel())).reshape(field.shape) / field.size
        index = np.floor(ranks * len(colours))
    return np.asarray(colours[index.astype(np.int64) % len(colours)])


def _ramp(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return how far each pixel lies in a random direction, in sides: [side, side]."""
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: _SIDE * 4, : _SIDE * 4] / (_SIDE * 4)
    return np.asarray(x * np.cos(angle) + y * np.sin(angle) + random.random())


def _cell(ramp: npt.NDArray[np.float64], period: float) -> npt.NDArray[np.int64]:
    return np.floor(ramp / period).astype(np.int64) % 64


def _photograph(surface: Surface, random: np.random.Generator) -> Pixels:
    """Make a surface smaller, a little unsharp, grainy and JPEG, and cut 9x9 pixels out."""
    tint = random.normal(1, 0.015, 3)
    noisy = surface * tint + random.normal(0, random.uniform(0, 0.02), surface.shape)
    image = Image.fromarray((noisy.clip(0, 1) * 255).round().astype(np.uint8))
    image = image.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    image = image.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.6)))
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=int(random.integers(75, 97)))
    x, y = random.integers(_SIDE - 9, size=2)
    return np.asarray(Image.open(stored).convert("RGB").crop((x, y, x + 9, y + 9)))
