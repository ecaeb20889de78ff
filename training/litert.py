"""Makes a model's `.tflite` and `golden.npz` from its frozen graphs.

    python -m training.litert [tags imagenet characters digits] [--data ../shared/data]

To be run again whenever a graph was made anew. All classifiers go into one graph for the LiteRT
engine. Where `_MODELS` says so, convolutions are computed in int8, scaled by what photos make of
each layer (post-training quantisation); all the rest, and so the colours' network, is computed in
float32. What that does to the answers is in `docs/accuracy.md`.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from shared.images import Point
from shared.manifest import Model, read_model
from shared.messages import Tensor
from shared.preparation import prepare
from training.characters_fonts import draw_pictures
from worker.engines import load_engine
from worker.engines.session import merge
from worker.golden import write_golden

_MODELS_FOLDER = Path("models")
_PHOTOS = Path("examples/photos")
_IN_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD")
_MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Conversion:
    """How a model is converted, and which answers are beyond doubt: its golden examples."""

    golden: dict[str, list[Point]] = field(default_factory=dict)  # of `_PHOTOS`
    written: str = ""  # characters, drawn
    calibrated: str = ""  # the folder of photos, below the data, for int8; empty: all float32


_MODELS = {
    # Pets, fields and cups whose themes and colours are beyond doubt.
    "tags": Conversion(
        {
            "cat.jpg": [Point(220, 120), Point(60, 60)],
            "coffee.jpg": [Point(300, 200), Point(120, 330)],
        },
        calibrated="photos/imagenet",
    ),
    "imagenet": Conversion({"cat.jpg": [], "coffee.jpg": []}, calibrated="photos/imagenet"),
    "characters": Conversion(written="AEHMTX234bdfh"),
    "digits": Conversion(written="0123456789"),
}


def main() -> None:
    """Convert, compare and write."""
    parser = argparse.ArgumentParser(prog="python -m training.litert", description=__doc__)
    parser.add_argument("models", nargs="*", default=["tags"], metavar="model")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    for name in arguments.models:
        _make(_MODELS[name], _MODELS_FOLDER / name, arguments.data)


def _make(conversion: Conversion, folder: Path, data: Path) -> None:
    _add_missing(folder)
    model = read_model(folder)
    assert model.litert is not None
    assert model.golden is not None
    examples: list[list[Tensor]] = []
    if conversion.calibrated:
        photos = sorted((data / conversion.calibrated).iterdir())
        examples = [prepare(model, path.read_bytes(), [], _MAX_PIXELS)[1] for path in photos]
    model.litert.write_bytes(convert(model, examples))
    session = load_engine("session", model, 1)
    rows = _golden_tensors(model, conversion)
    tensors = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    write_golden(model.golden, model, session, tensors)
    print(f"{model.litert}: {model.litert.stat().st_size} bytes")
    print(f"{model.golden}: {model.golden.stat().st_size} bytes")


def _add_missing(folder: Path) -> None:
    """Add the files to make, empty: a model is not read without what its manifest names."""
    table = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    for version in folder.glob("[0-9]*"):
        for key in ("litert", "golden"):
            (version / table[key]).touch()


def convert(model: Model, examples: list[list[Tensor]]) -> bytes:
    """Return all classifiers of `model` as one LiteRT graph.

    `examples` are the tensors of one item each, on which the range of every layer is found;
    without any, everything stays in float32.
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
    if not examples:
        return bytes(plain)
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


def _golden_tensors(model: Model, conversion: Conversion) -> Iterator[list[Tensor]]:
    for name, points in conversion.golden.items():
        yield prepare(model, (_PHOTOS / name).read_bytes(), points, _MAX_PIXELS)[1]
    for picture in draw_pictures(conversion.written):
        yield prepare(model, picture, [], _MAX_PIXELS)[1]


if __name__ == "__main__":
    main()
