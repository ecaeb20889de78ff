"""Engines: what executes a model. The only folder that imports TensorFlow or LiteRT."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
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
    labels: Floats  # integers [n, k], positions in the classifier's label file

    def part(self, start: int, count: int, top_k: int) -> Answer:
        """Return `count` rows from `start` on, with at most `top_k` labels; 0 stands for all."""
        rows, columns = slice(start, start + count), slice(top_k or None)
        return Answer(self.probabilities[rows, columns], self.labels[rows, columns])


class Engine(Protocol):
    """Executes one model."""

    name: str

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        """Run classifiers over a batch in one call; the others are not run.

        `asked` are their places in the model; empty stands for all of them. Takes a tensor per
        classifier, uint8 [n, height, width, channels], and returns an answer per classifier with
        `top_k` labels, or all of them where it has fewer.
        """
        ...


def engines_for(model: Model) -> list[str]:
    """Return the names of the engines that can run `model` with what is installed here.

    The session, which is the reference, comes first.
    """
    found = []
    litert = [item.graph.suffix == ".tflite" for item in model.classifiers]
    if not any(litert) and importlib.util.find_spec("tensorflow"):
        found.append("session")
    if (model.litert or all(litert)) and importlib.util.find_spec("ai_edge_litert"):
        found.append("litert")
    return found


def load_engine(name: str, model: Model, threads: int) -> Engine:
    """Load `model` into the engine `name`, on `threads` threads."""
    if name == "litert":
        from worker.engines.litert import LitertEngine

        return LitertEngine(model, threads)
    # TensorFlow reads this when it is imported: its own log goes to errors only.
    set_environment_defaults(TF_CPP_MIN_LOG_LEVEL="2")
    from worker.engines.session import SessionEngine

    return SessionEngine(model, threads)


def join(answers: Sequence[Answer]) -> Answer:
    """Return the answers of the parts of a batch as one."""
    if len(answers) == 1:
        return answers[0]
    return Answer(
        np.concatenate([answer.probabilities for answer in answers]),
        np.concatenate([answer.labels for answer in answers]),
    )


def likeliest(probabilities: Floats, top_k: int) -> Answer:
    """Return the `top_k` likeliest of a softmax [n, labels]; of equals, the first."""
    labels = (-probabilities).argsort(axis=1, kind="stable")[:, :top_k]
    return Answer(probabilities[range(len(labels)), labels.T].T, labels)
