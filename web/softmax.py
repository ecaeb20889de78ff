"""The whole softmax that a result carries in place of its items: as an array, as labels."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.manifest import Model
from shared.messages import Result

Softmax = npt.NDArray[np.float32]  # [items, labels]


def read_softmax(model: Model, result: Result) -> dict[str, Softmax]:
    """Return the whole softmax of each classifier that ran, float32 [items, labels]."""
    return {
        classifier.name: np.frombuffer(
            base64.b64decode(result.softmax[classifier.name]), "<f4"
        ).reshape(-1, len(classifier.labels))
        for classifier in model.classifiers
        if classifier.name in result.softmax
    }


def to_numbers(softmax: Softmax) -> list[Any]:
    """Return a softmax as lists of numbers, as short as what they mean allows: nine decimals."""
    numbers: list[Any] = np.round(softmax.astype(np.float64), 9).tolist()
    return numbers


def likeliest(softmax: Softmax, count: int) -> npt.NDArray[np.intp]:
    """Return the positions of the `count` likeliest labels of each item, likeliest first."""
    return (-softmax).argsort(axis=1, kind="stable")[:, :count]


def to_items(model: Model, result: Result, count: int) -> list[dict[str, list[dict[str, Any]]]]:
    """Return the items that `result` would have, had its `count` likeliest labels been asked."""
    softmax = read_softmax(model, result)
    labels = {classifier.name: classifier.labels for classifier in model.classifiers}
    columns = {}
    for name, numbers in softmax.items():
        places = likeliest(numbers, count)
        top = to_numbers(np.take_along_axis(numbers, places, axis=1))
        columns[name] = zip(places.tolist(), top, strict=True)
    return [
        {
            name: [
                {"label": labels[name][place], "probability": probability}
                for place, probability in zip(places, top, strict=True)
            ]
            for name, (places, top) in zip(columns, rows, strict=True)
        }
        for rows in zip(*columns.values(), strict=True)
    ]
