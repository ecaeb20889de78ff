"""Golden examples: what every engine must say of a few crops before it serves anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.manifest import Model
from shared.messages import Tensor
from worker.engines import Engine

# Engines round differently, and a graph in int8 more than that; a wrong graph, a wrong order of
# outputs or a wrong range of pixels is far off.
TOLERANCE = 0.06  # of a probability

_INPUT, _SOFTMAX = "input_", "softmax_"


def write_golden(path: Path, model: Model, engine: Engine, tensors: Sequence[Tensor]) -> None:
    """Write what `engine` says of `tensors`, per classifier uint8 [n, height, width, channels]."""
    arrays = {}
    softmaxes = _softmaxes(engine, model, tensors)
    for classifier, tensor, softmax in zip(model.classifiers, tensors, softmaxes, strict=True):
        arrays[_INPUT + classifier.name] = tensor
        arrays[_SOFTMAX + classifier.name] = softmax
    np.savez_compressed(path, allow_pickle=False, **arrays)


def disagreement(engine: Engine, model: Model) -> str:
    """Return where `engine` departs from the model's golden examples; empty where it agrees.

    It agrees when the likeliest label is the same and no probability is off by more than
    `TOLERANCE`. Of a model without examples, at least what it puts out must be a softmax.
    """
    if model.golden is None:
        return _oddity(engine, model)
    with np.load(model.golden) as arrays:
        tensors = [arrays[_INPUT + classifier.name] for classifier in model.classifiers]
        expected = [arrays[_SOFTMAX + classifier.name] for classifier in model.classifiers]
    softmaxes = _softmaxes(engine, model, tensors)
    for classifier, found, softmax in zip(model.classifiers, softmaxes, expected, strict=True):
        if (found.argmax(axis=1) != softmax.argmax(axis=1)).any():
            return f"{classifier.name}: another likeliest label than the golden example"
        off = float(np.abs(found - softmax).max())
        if not off <= TOLERANCE:  # not a number is no agreement either
            return f"{classifier.name}: a probability is off by {off:.3f}"
    return ""


def disagreement_alone(engine: Engine, model: Model) -> str:
    """Return which classifier says something else alone than with the others; empty where none.

    A client may ask it alone. A model's only classifier always is.
    """
    if len(model.classifiers) == 1:
        return ""
    grey = _grey(model)
    together = _softmaxes(engine, model, grey)
    for place, classifier in enumerate(model.classifiers):
        try:
            (alone,) = _softmaxes(engine, model, [grey[place]], [place])
        except Exception as error:  # whatever an engine says of a part that it cannot run
            return f"{classifier.name}: cannot be asked alone: {error}"
        if not (np.abs(alone - together[place]) <= TOLERANCE).all():
            return f"{classifier.name}: says something else when it is asked alone"
    return ""


def _oddity(engine: Engine, model: Model) -> str:
    softmaxes = _softmaxes(engine, model, _grey(model))
    for classifier, softmax in zip(model.classifiers, softmaxes, strict=True):
        if not (np.abs(softmax.sum(axis=1) - 1) <= TOLERANCE).all():
            return f"{classifier.name}: what it puts out does not sum to 1, so it is no softmax"
    return ""


def _grey(model: Model) -> list[Tensor]:
    return [np.full((2, *item.shape), 128, np.uint8) for item in model.classifiers]


def _softmaxes(
    engine: Engine, model: Model, tensors: Sequence[Tensor], asked: Sequence[int] = ()
) -> list[Tensor]:
    """Return the whole softmax of each classifier asked, float32 [n, labels]."""
    answers = engine.run(tensors, max(len(item.labels) for item in model.classifiers), asked)
    softmaxes = []
    for answer in answers:
        softmax = np.empty_like(answer.probabilities)
        np.put_along_axis(softmax, answer.labels, answer.probabilities, axis=1)
        softmaxes.append(softmax)
    return softmaxes
