"""Engines: what executes a model. The only folder that imports TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from shared.manifest import Model
from shared.messages import Tensor
from shared.settings import set_environment_defaults

TOP = 5  # labels that every answer has, unless a client asks for more or fewer

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Answer:
    """What one classifier says of a batch: its `k` likeliest labels, likeliest first."""

    probabilities: Floats  # float32 [n, k]
    labels: Floats  # int32 [n, k], positions in the classifier's label file


class Engine(Protocol):
    """Executes one model."""

    name: str

    def run(self, tensors: Sequence[Tensor], top_k: int = TOP) -> list[Answer]:
        """Run all classifiers over a batch in one call.

        Takes a tensor per classifier, uint8 [n, height, width, 3], and returns an answer per
        classifier with `top_k` labels, or all of them where it has fewer.
        """
        ...


def load_engine(model: Model, threads: int) -> Engine:
    """Load `model` into the engine that serves it, on `threads` threads."""
    # TensorFlow reads these when it is imported. Its own log goes to errors only; the
    # allocator keeps large tensors instead of mapping and unmapping them for every batch.
    set_environment_defaults(TF_CPP_MIN_LOG_LEVEL="2", TF_CPU_ALLOCATOR_USE_BFC="1")
    from worker.engines.session import SessionEngine

    return SessionEngine(model, threads)
