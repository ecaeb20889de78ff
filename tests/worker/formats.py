"""A small network in each of the formats that a model's graph may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

LABELS = 7
HIGH = 2.0

MANIFEST = """
[classifiers.first]
crop = { fraction = 1.0 }
size = [6, 5]
range = [0.0, 2.0]
graph = "GRAPH"
labels = "labels.txt"
"""


def build(unroll: bool = False) -> Any:
    """Return a network with variables of several kinds, and a loop where it is not unrolled."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(3)
    image = layers.Input((5, 6, 3))
    seen = layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(image))
    rows = layers.GRU(8, unroll=unroll)(layers.Reshape((5, 18))(seen))
    weights = tf.keras.initializers.RandomNormal(0, 4)
    return tf.keras.Model(image, layers.Dense(LABELS, "softmax", kernel_initializer=weights)(rows))


def frozen(network: Any, path: Path) -> str:
    spec = tf.TensorSpec([None, 5, 6, 3], tf.float32)
    traced = tf.function(lambda image: network(image)).get_concrete_function(spec)
    function = convert_variables_to_constants_v2(traced)
    path.with_suffix(".pb").write_bytes(function.graph.as_graph_def().SerializeToString())
    return f'graph.pb"\ninput = "{function.inputs[0].name}"\noutput = "{function.outputs[0].name}'


def saved(network: Any, path: Path) -> str:
    network.export(path, verbose=False)
    return "graph"


def saved_with_names(network: Any, path: Path) -> str:
    class Two(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        @tf.function(  # type: ignore[untyped-decorator]  # likewise
            input_signature=[tf.TensorSpec([None, 5, 6, 3], tf.uint8)]
        )
        def serve(self, raw: Any) -> dict[str, Any]:
            softmax = self.network(tf.cast(raw, tf.float32) * (HIGH / 255))
            return {"likely": softmax, "a_half": softmax / 2}

    two = Two()
    tf.saved_model.save(two, str(path), signatures={"serving_default": two.serve})
    return 'graph"\ninput = "raw"\noutput = "likely'


def keras(network: Any, path: Path) -> str:
    network.save(path.with_suffix(".keras"))
    return "graph.keras"


def tflite(network: Any, path: Path) -> str:
    unrolled = build(unroll=True)  # LiteRT has no loop over a batch of any size
    unrolled.set_weights(network.get_weights())
    spec = tf.TensorSpec([None, 5, 6, 3], tf.float32)
    traced = tf.function(lambda image: unrolled(image)).get_concrete_function(spec)
    function = convert_variables_to_constants_v2(traced)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], None)
    path.with_suffix(".tflite").write_bytes(converter.convert())
    return "graph.tflite"


def tflite_with_loops(path: Path) -> None:
    """Write two classifiers, `first` and `second`, in one graph; each has a loop."""
    random = np.random.default_rng(5)
    before = tf.constant(random.normal(0, 0.1, (90, LABELS)).astype(np.float32))
    inside = tf.constant(random.normal(0, 1, (2, LABELS, LABELS)).astype(np.float32))

    def ask(pixels: Any, place: int) -> Any:
        seen = tf.reshape(tf.cast(pixels, tf.float32), [-1, 90]) @ before
        (_, seen) = tf.while_loop(
            lambda turn, seen: turn < 3,
            lambda turn, seen: (turn + 1, tf.tanh(seen @ inside[place])),
            [0, seen],
        )
        return tf.nn.softmax(seen)

    specs = [tf.TensorSpec([None, 5, 6, 3], tf.uint8, name=name) for name in ("first", "second")]
    traced = tf.function(lambda first, second: [ask(first, 0), ask(second, 1)])
    function = traced.get_concrete_function(*specs)
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], None).convert())
