"""The TensorFlow session: frozen graphs merged into one, run by one call per batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from shared.manifest import Classifier, Model
from shared.messages import Tensor
from worker.engines import TOP, Answer, likeliest

_v1 = tf.compat.v1


class SessionEngine:
    """All of a model's classifiers in one graph, and the one session that runs it.

    The graph takes the pixels as they come from the wire and puts out, per classifier, both the
    full softmax and its top 5; the full one is fetched only when more is asked for.
    """

    name = "session"

    def __init__(self, model: Model, threads: int) -> None:
        graph, nodes = merge(model)
        self._inputs = [node.pixels for node in nodes]
        self._softmax = [node.softmax for node in nodes]
        self._top = [node.top for node in nodes]
        config = _v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1
        )
        config.gpu_options.allow_growth = True  # several workers may share a GPU
        self._session = _v1.Session(graph=graph, config=config)

    def run(self, tensors: Sequence[Tensor], top_k: int = TOP) -> list[Answer]:
        """Run all classifiers in one session call; see `worker.engines.Engine.run`."""
        feeds = dict(zip(self._inputs, tensors, strict=True))
        if top_k <= TOP:
            tops = self._session.run(self._top, feeds)
            return [Answer(values[:, :top_k], labels[:, :top_k]) for values, labels in tops]
        return [likeliest(softmax, top_k) for softmax in self._session.run(self._softmax, feeds)]


class Nodes(NamedTuple):
    """Where a classifier is in the merged graph."""

    pixels: Any  # uint8 [n, height, width, channels]
    softmax: Any  # float32 [n, labels]
    top: Any  # the five likeliest: float32 [n, 5] and int32 [n, 5]


def merge(model: Model) -> tuple[tf.Graph, list[Nodes]]:
    """Return one graph with all of a model's classifiers, and where each one is in it."""
    graph = tf.Graph()
    with graph.as_default():
        return graph, [_add(classifier) for classifier in model.classifiers]


def _add(classifier: Classifier) -> Nodes:
    """Add one classifier to the default graph."""
    pixels = _v1.placeholder(tf.uint8, [None, *classifier.shape], classifier.name)
    scale = (classifier.high - classifier.low) / 255
    values = tf.cast(pixels, tf.float32) * scale + classifier.low
    definition = tf.Graph().as_graph_def()
    definition.ParseFromString(classifier.graph.read_bytes())
    (probabilities,) = tf.graph_util.import_graph_def(
        definition,
        input_map={classifier.input: values},
        return_elements=[classifier.output],
        name=f"{classifier.name}_graph",
    )
    labels = len(classifier.labels)
    if probabilities.shape[1:] != (labels,):
        raise ValueError(
            f"{classifier.graph}: puts out {probabilities.shape}, and has {labels} labels"
        )
    return Nodes(pixels, probabilities, tf.math.top_k(probabilities, min(TOP, labels)))
