"""What an engine put out for a batch → the items of each request in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.manifest import Model
from worker.engines import Answer

Item = dict[str, list[dict[str, Any]]]


def to_items(model: Model, answers: Sequence[Answer]) -> list[Item]:
    """Return, per item of the batch, `{classifier: [{"label": …, "probability": …}, …]}`."""
    columns = []
    for classifier, answer in zip(model.classifiers, answers, strict=True):
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
    names = [classifier.name for classifier in model.classifiers]
    return [dict(zip(names, item, strict=True)) for item in zip(*columns, strict=True)]


def first(items: Sequence[Item], top_k: int) -> list[Item]:
    """Return the items with at most `top_k` labels each."""
    return [{name: labels[:top_k] for name, labels in item.items()} for item in items]
