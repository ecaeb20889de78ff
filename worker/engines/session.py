"""The TensorFlow session: a model's graphs merged into one, run by one call per batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from shared.manifest import Classifier, Model
from shared.messages import Tensor
from worker.engines import TOP, Answer, likeliest
from worker.engines.graphs import Frozen, read_graph

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

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        """Run classifiers in one session call; see `worker.engines.Engine.run`."""
        places = asked or range(len(self._inputs))
        feeds = {self._inputs[place]: tensor for place, tensor in zip(places, tensors, strict=True)}
        if top_k <= TOP:
            tops = self._session.run([self._top[place] for place in places], feeds)
            return [Answer(values[:, :top_k], labels[:, :top_k]) for values, labels in tops]
        softmaxes = self._session.run([self._softmax[place] for place in places], feeds)
        return [likeliest(softmax, top_k) for softmax in softmaxes]


class Nodes(NamedTuple):
    """Where a classifier is in the merged graph."""

    pixels: Any  # uint8 [n, height, width, channels]
    softmax: Any  # float32 [n, labels]
    top: Any  # the five likeliest: float32 [n, 5] and int32 [n, 5]


def merge(model: Model) -> tuple[tf.Graph, list[Nodes]]:
    """Return one graph with all of a model's classifiers, and where each one is in it."""
    parts = [(classifier, read_graph(classifier)) for classifier in model.classifiers]
    graph = tf.Graph()
    with graph.as_default():
        return graph, [_add(*part) for part in parts]


def _add(classifier: Classifier, frozen: Frozen) -> Nodes:
    """Add one classifier to the default graph."""
    pixels = _v1.placeholder(tf.uint8, [None, *classifier.shape], classifier.name)
    values = pixels
    if frozen.dtype != tf.uint8:
        scale = (classifier.high - classifier.low) / 255
        values = tf.cast(pixels, tf.float32) * scale + classifier.low
    (probabilities,) = tf.graph_util.import_graph_def(
        frozen.definition,
        input_map={frozen.input: values},
        return_elements=[frozen.output],
        name=f"{classifier.name}_graph",
    )
    labels = len(classifier.labels)
    if probabilities.shape[1:] != (labels,):
        raise ValueError(
            f"{classifier.graph}: puts out {probabilities.shape}, and has {labels} labels"
        )
    return Nodes(pixels, probabilities, tf.math.top_k(probabilities, min(TOP, labels)))
