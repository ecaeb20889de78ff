"""The TensorFlow session: a model's graphs merged into one, run by one call per batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from shared.manifest import Classifier, Model
from shared.messages import Tensor
from worker.engines import TOP, Answer, likeliest
from worker.engines.graphs import Frozen, read_graph
from worker.engines.lean import tf

_v1 = tf.compat.v1


class SessionEngine:
    """All of a model's classifiers in one graph, and the one session that runs it.

    The graph takes the pixels as they come from the wire and puts out, per classifier, both the
    full softmax and its top 5.
    """

    name = "session"

    def __init__(self, model: Model, threads: int) -> None:
        graph, nodes = merge(model)
        self._nodes = nodes
        config = _v1.ConfigProto(
            intra_op_parallelism_threads=threads,
            # In the calling thread, whose time is measured; that is all of it with one thread.
            inter_op_parallelism_threads=-1,
        )
        config.gpu_options.allow_growth = True  # several workers may share a GPU
        self._session = _v1.Session(graph=graph, config=config)

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        """Run all classifiers in one session call, some of them one by one; see `Engine.run`.

        For another set of outputs a session keeps one more copy of the weights; of n classifiers
        clients may ask for 2^n - 1 sets.
        """
        if 1 < len(asked) < len(self._nodes):
            pairs = zip(asked, tensors, strict=True)
            return [self.run([tensor], top_k, [place])[0] for place, tensor in pairs]
        nodes = [self._nodes[place] for place in asked] or self._nodes
        feeds = {node.pixels: tensor for node, tensor in zip(nodes, tensors, strict=True)}
        # Always both, for the same reason.
        answers = self._session.run([(node.softmax, node.top) for node in nodes], feeds)
        if top_k <= TOP:
            return [Answer(top[0][:, :top_k], top[1][:, :top_k]) for _, top in answers]
        return [likeliest(softmax, top_k) for softmax, _ in answers]


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
    for node in frozen.definition.node:  # a loop's name is not made unique by the import
        if "frame_name" in node.attr:
            node.attr["frame_name"].s = f"{classifier.name}/".encode() + node.attr["frame_name"].s
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
