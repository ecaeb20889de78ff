"""What is done to a picture of writing before a network sees it, each step by its name.

`steps` in a `model.toml` lists them in order. They are what MNIST's and EMNIST's makers did to
their scans, made fit for photos: paper, shadows, ruled lines and noise are taken away first.
`training/` runs the same ones, so what a classifier is trained on is what it is served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shared.images import Crop, Pixels
from shared.ink import Floats, Size, clean, invert, resized, sheet

_PICTURE = 256  # pixels of the longest side: a character of a tenth of it still has 25
_INKED = 20 / 28  # of the classifier's side is the writing's longest one, as in MNIST
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def picture(crop: Crop, size: tuple[int, int]) -> Crop:
    """Return `crop` of an image of `size` as the steps look at it.

    It keeps its proportions, and has its own pixels or, where those are more, `_PICTURE`.
    """
    if crop.fraction is None:
        return crop
    sides = [length * crop.fraction for length in size]
    scale = min(1.0, _PICTURE / max(sides))
    width, height = (max(1, round(side * scale)) for side in sides)
    return Crop(width, height, fraction=crop.fraction)


def check(names: Sequence[str]) -> None:
    """Raise `ValueError` unless `names` are steps that can be done one after the other."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no step; there are {', '.join(STEPS)}")
    if names and (names[0] != "grey" or names[-1] not in LAST):
        raise ValueError(f"steps begin with grey and end with {' or '.join(LAST)}")


def apply(names: Sequence[str], pixels: Pixels, size: Size) -> Pixels:
    """Return `pixels`, uint8 RGB [h, w, 3], after the steps: uint8 [height, width, 1].

    `size` is the classifier's (height, width); `names` passed `check`.
    """
    picture = pixels.astype(np.float32)
    for name in names:
        picture = STEPS[name](picture, size)
    return np.asarray(np.rint(picture.clip(0, 255)), np.uint8)[..., None]


def grey(picture: Floats, _: Size) -> Floats:
    """Make RGB [h, w, 3] grey, [h, w]; all other steps take that."""
    return picture @ _GREY


def trim(picture: Floats, _: Size) -> Floats:
    """Cut away what is 0 on all four sides."""
    rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def fit(picture: Floats, size: Size) -> Floats:
    """Resize so that the longest side is 20/28 of the classifier's, both sides alike."""
    scale = min(
        _INKED * wanted / length for wanted, length in zip(size, picture.shape, strict=True)
    )
    height, width = (max(1, round(length * scale)) for length in picture.shape)
    return resized(picture, width, height)


def centre(picture: Floats, size: Size) -> Floats:
    """Lay onto black of the classifier's size, the centre of mass in the middle."""
    total = float(picture.sum())
    height, width = picture.shape
    row, column = (height - 1) / 2, (width - 1) / 2
    if total:
        row = float(picture.sum(axis=1) @ np.arange(height)) / total
        column = float(picture.sum(axis=0) @ np.arange(width)) / total
    # The middle lies between two pixels; MNIST's makers took the later one.
    top = min(max(round(size[0] / 2 - row), 0), size[0] - height)
    left = min(max(round(size[1] / 2 - column), 0), size[1] - width)
    laid = np.zeros(size, np.float32)
    laid[top : top + height, left : left + width] = picture
    return laid


def resize(picture: Floats, size: Size) -> Floats:
    """Resize to the classifier's size, each side by itself."""
    return resized(picture, size[1], size[0])


STEPS: dict[str, Callable[[Floats, Size], Floats]] = {
    "grey": grey,
    "sheet": sheet,
    "invert": invert,
    "clean": clean,
    "trim": trim,
    "fit": fit,
    "centre": centre,
    "resize": resize,
}
# After one of these a picture has the classifier's size.
LAST = ("centre", "resize")
