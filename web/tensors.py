"""Numbers and encoded images that a client sends by name → what a model is asked.

A model's inputs are `image`, encoded images, of which the centre is classified, or else a tensor
of raw pixels for each of its classifiers, by the classifier's name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.images import Pixels
from shared.manifest import Classifier, Model
from web.bodies import parse_base64
from web.prediction import Query

IMAGE = "image"  # the input that is no classifier's


class TensorError(ValueError):
    """An input is not what the model takes; the message names it."""


def to_pixels(values: Any, classifier: Classifier) -> Pixels:
    """Return the pixels of a batch: uint8 [items, height, width, channels].

    `values` are numbers from 0 to 255, rounded here; of one channel, its axis may be left out, and
    an item may be flat. Raises `TensorError`, also for numbers that were scaled: those from 0 to 1
    would be rounded to black.
    """
    name, shape = classifier.name, classifier.shape
    array = to_array(values, name)
    if array.dtype.kind not in "iuf":
        raise TensorError(f"{name!r} has what is not a number")
    if shape[2] == 1 and array.shape[1:] == shape[:2]:
        array = array[..., np.newaxis]
    elif array.shape[1:] == (math.prod(shape),):
        array = array.reshape(-1, *shape)
    if array.shape[1:] != shape or not len(array):
        raise TensorError(f"{name!r} is {list(array.shape)}, not {[-1, *shape]}")
    if not ((array >= 0) & (array <= 255)).all():
        raise TensorError(f"{name!r} has a number that is not a pixel's, from 0 to 255")
    rounded = np.rint(array)
    if array.max() <= 1 and (array != rounded).any():
        raise TensorError(f"{name!r} is scaled to 0 to 1; pixels are from 0 to 255")
    pixels: Pixels = rounded.astype(np.uint8)
    return pixels


def to_array(values: Any, name: str) -> npt.NDArray[Any]:
    """Return the numbers of nested lists as float64, an array as it is. Raises `TensorError`.

    NumPy alone would make each text in them as long as the longest, and read some as numbers.
    """
    if isinstance(values, np.ndarray):
        return values
    level, shape = [values], []
    while level and isinstance(level[0], list):
        if not all(isinstance(row, list) for row in level) or len(set(map(len, level))) > 1:
            raise TensorError(f"{name!r} is not a tensor: its rows differ in length")
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
    if not set(map(type, level)) <= {int, float}:
        raise TensorError(f"{name!r} has what is not a number")
    try:
        return np.array(level, np.float64).reshape(shape)
    except (ValueError, OverflowError) as error:  # nested deeper, or larger, than numbers are here
        raise TensorError(f"{name!r} has too many axes, or a number that is too large") from error


def to_image(text: Any) -> bytes:
    """Return the encoded image that base64 text stands for. Raises `TensorError`."""
    try:
        if isinstance(text, str):
            return parse_base64(text)
    except ValueError:
        pass
    raise TensorError("an image is not base64")


def ask_images(
    images: list[bytes], timeout_ms: int, most: int, classifiers: Sequence[str] | None = None
) -> Query:
    """Return the query for the whole softmax of the centres of images.

    Of those `classifiers` alone, where they are named. Raises `TensorError`.
    """
    _check_count(len(images), most)
    points = [()] * len(images)
    return Query(images, points, timeout_ms, top_k=0, many=True, classifiers=classifiers)


def ask_tensors(model: Model, inputs: Mapping[str, Any], timeout_ms: int, most: int) -> Query:
    """Return the query for the whole softmax of tensors, named as the model's classifiers.

    Raises `TensorError`.
    """
    names = [classifier.name for classifier in model.classifiers]
    if set(inputs) != set(names):
        raise TensorError(
            f"the inputs are {', '.join(map(repr, inputs))}; "
            f"they must be {IMAGE!r}, or {', '.join(map(repr, names))}"
        )
    tensors = [to_pixels(inputs[item.name], item) for item in model.classifiers]
    counts = {len(tensor) for tensor in tensors}
    if len(counts) > 1:
        raise TensorError("the inputs differ in how many items they have")
    _check_count(counts.pop(), most)
    return Query([], [], timeout_ms, top_k=0, many=True, tensors=tensors)


def _check_count(items: int, most: int) -> None:
    if not 1 <= items <= most:
        raise TensorError(f"there are {items} items, 1 to {most} are allowed")
