"""What an engine put out for a batch → the items of each request in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.manifest import Classifier
from worker.engines import Answer

Item = dict[str, list[dict[str, Any]]]


def to_items(classifiers: Sequence[Classifier], answers: Sequence[Answer]) -> list[Item]:
    """Return, per item of the batch, `{classifier: [{"label": …, "probability": …}, …]}`."""
    columns = []
    for classifier, answer in zip(classifiers, answers, strict=True):
        rows = zip(answer.labels.tolist(), answer.probabilities.tolist(), strict=True)
        columns.append(
            [
                [
                    # Six digits tell apart all that a float32 softmax means.
                    {"label": classifier.labels[label], "probability": round(probability, 6)}
                    for label, probability in zip(*row, strict=True)
                ]
                for row in rows
            ]
        )
    names = [classifier.name for classifier in classifiers]
    return [dict(zip(names, item, strict=True)) for item in zip(*columns, strict=True)]


def to_softmax(classifiers: Sequence[Classifier], answers: Sequence[Answer]) -> dict[str, str]:
    """Return, per classifier, base64 of its softmax: float32 [n, labels], in the labels' order.

    The answers must have all labels. It is a tenth of the size of the items with as many labels.
    """
    texts = {}
    for classifier, answer in zip(classifiers, answers, strict=True):
        softmax = np.empty(answer.probabilities.shape, "<f4")
        np.put_along_axis(softmax, answer.labels, answer.probabilities, axis=1)
        texts[classifier.name] = base64.b64encode(softmax.tobytes()).decode()
    return texts
