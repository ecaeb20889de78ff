"""Makes `models/tags/1/tags.tflite` and `golden.npz` from the frozen graphs.

    python -m training.litert [--data ../shared/data]

To be run again whenever a graph was made anew. All classifiers go into one graph for the LiteRT
engine. Convolutions are computed in int8, scaled by what photos make of each layer (post-training
quantisation); all the rest, and so the colours' network, is computed in float32. What that does
to the answers is in `docs/accuracy.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from shared.images import Point
from shared.manifest import Model, read_model
from shared.messages import Tensor
from shared.preparation import prepare
from worker.engines import load_engine
from worker.engines.session import merge
from worker.golden import write_golden

_MODEL = Path("models/tags")
_IN_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD")
_MAX_PIXELS = 50_000_000
# Pets, fields and cups whose themes and colours are beyond doubt.
_EXAMPLES = {
    "cat.jpg": [Point(220, 120), Point(60, 60)],
    "coffee.jpg": [Point(300, 200), Point(120, 330)],
}


def main() -> None:
    """Convert, compare and write."""
    parser = argparse.ArgumentParser(prog="python -m training.litert", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    photos = sorted((parser.parse_args().data / "photos/imagenet").iterdir())
    model = read_model(_MODEL)
    assert model.litert is not None
    assert model.golden is not None
    examples = [prepare(model, path.read_bytes(), [], _MAX_PIXELS)[1] for path in photos]
    model.litert.write_bytes(convert(model, examples))
    session = load_engine("session", model, 1)
    tensors = [np.concatenate(parts) for parts in zip(*_golden_tensors(model), strict=True)]
    write_golden(model.golden, model, session, tensors)
    print(f"{model.litert}: {model.litert.stat().st_size} bytes")
    print(f"{model.golden}: {model.golden.stat().st_size} bytes")


def convert(model: Model, examples: list[list[Tensor]]) -> bytes:
    """Return all classifiers of `model` as one LiteRT graph.

    `examples` are the tensors of one item each, on which the range of every layer is found.
    """
    graph, nodes = merge(model)
    wrapped = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph.as_graph_def(), name=""), []
    )
    element = wrapped.graph.as_graph_element
    function = wrapped.prune(
        [element(node.pixels.name) for node in nodes],
        [element(node.softmax.name) for node in nodes],
    )
    plain = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    interpreter = Interpreter(model_content=plain)
    order = [entry["name"] for entry in interpreter.get_input_details()]
    places = {classifier.name: place for place, classifier in enumerate(model.classifiers)}

    def calibration() -> Iterator[list[Tensor]]:
        for tensors in examples:
            yield [tensors[places[name]] for name in order]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    # Quantisation of a part of a graph is documented for this class, and for it alone:
    # ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_debugger
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=calibration,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=_in_float(interpreter, model)
        ),
    )
    return bytes(debugger.get_nondebug_quantized_model())


def _in_float(interpreter: Any, model: Model) -> list[str]:
    """Return the names of the tensors that are computed in float32.

    These are all but the convolutions, and the sums of what they make: a softmax in int8 would
    come in steps of 1/256.
    """
    made = [
        (entry["op_name"], interpreter._get_tensor_details(index, 0)["name"])
        for entry in interpreter._get_ops_details()
        if entry["op_name"] != "DELEGATE"
        for index in entry["outputs"]
    ]
    scopes = [f"{classifier.name}_graph/" for classifier in model.classifiers]
    convolved = tuple(
        scope
        for scope in scopes
        if any(op == "CONV_2D" and name.startswith(scope) for op, name in made)
    )
    return [name for op, name in made if not (op in _IN_INT8 and name.startswith(convolved))]


def _golden_tensors(model: Model) -> Iterator[list[Tensor]]:
    for name, points in _EXAMPLES.items():
        yield prepare(model, Path("examples/photos", name).read_bytes(), points, _MAX_PIXELS)[1]


if __name__ == "__main__":
    main()
