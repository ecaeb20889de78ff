"""An engine that can be told what to do, and the model that it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from shared.images import Crop
from shared.manifest import Classifier, Model
from shared.messages import Tensor
from worker.engines import TOP, Answer

LABELS = tuple(f"label {number}" for number in range(8))
MODEL = Model(
    "tags",
    "3",
    "",
    (Classifier("themes", Crop(2, 2, fraction=1.0), 0.0, 1.0, Path("none"), "in", "out", LABELS),),
)


def pixels(value: int, items: int = 1) -> list[Tensor]:
    """Return the tensors of a request for `MODEL` whose likeliest label is `label <value>`."""
    return [np.full((items, 2, 2, 3), value, np.uint8)]


class FakeEngine:
    """Says that an item is what its first pixel says; `before` may raise, sleep or count."""

    name = "fake"

    def __init__(self, before: Callable[[Tensor], None] = lambda batch: None) -> None:
        self.sizes: list[int] = []
        self._before = before

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        (batch,) = tensors
        self.sizes.append(len(batch))
        self._before(batch)
        first = batch[:, 0, 0, 0].astype(int)
        labels = (first[:, None] + np.arange(min(top_k, len(LABELS)))) % len(LABELS)
        return [Answer(np.full(labels.shape, 0.125, np.float32), labels)]
