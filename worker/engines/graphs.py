"""A classifier's graph, whatever its format, as a frozen one: constants in place of variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from shared.manifest import Classifier
from worker.engines.lean import tf


class Frozen(NamedTuple):
    """A graph without variables, and the names of its input and output in it."""

    definition: Any
    input: str
    output: str
    dtype: Any  # of the input: uint8 takes the pixels as they are, float32 takes them in `range`


def read_graph(classifier: Classifier) -> Frozen:
    """Read a frozen `.pb`, a SavedModel folder or a `.keras` file; its own files tell which.

    Raises `ValueError`, and whatever TensorFlow says of a broken file.
    """
    path = classifier.graph
    if path.is_dir():
        return _freeze(classifier, _of_saved_model(path))
    if path.suffix == ".keras":
        return _freeze(classifier, _of_keras(classifier))
    definition = tf.Graph().as_graph_def()
    definition.ParseFromString(path.read_bytes())
    return Frozen(definition, classifier.input, classifier.output, tf.float32)


def _of_saved_model(path: Path) -> Any:
    loaded = tf.saved_model.load(str(path))
    if "serving_default" not in loaded.signatures:
        raise ValueError(f"{path}: has no signature serving_default")
    function = loaded.signatures["serving_default"]
    function.of = loaded  # whose variables end with it
    return function


def _of_keras(classifier: Classifier) -> Any:
    import keras  # type: ignore[import-untyped]  # large, and no other format needs it

    # `safe_mode`: a file is data; one that brings code of its own is refused.
    model = keras.models.load_model(classifier.graph, compile=False, safe_mode=True)
    spec = tf.TensorSpec([None, *classifier.shape], model.inputs[0].dtype, name="image")
    return tf.function(lambda image: model(image, training=False)).get_concrete_function(spec)


def _freeze(classifier: Classifier, function: Any) -> Frozen:
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    frozen = convert_variables_to_constants_v2(function)
    output = _one(classifier, "output", function.structured_outputs, frozen.outputs)
    named = function.structured_input_signature[1]
    image = _one(classifier, "input", named or None, frozen.inputs)
    if image.dtype not in (tf.uint8, tf.float32):
        raise ValueError(f"{classifier.graph}: takes {image.dtype.name}, not uint8 or float32")
    return Frozen(frozen.graph.as_graph_def(), image.name, output.name, image.dtype)


def _one(classifier: Classifier, kind: str, named: Any, tensors: Any) -> Any:
    """Return the only input or output of a signature, or that which the manifest names."""
    wanted = getattr(classifier, kind)
    if not wanted:
        if len(tensors) != 1:
            raise ValueError(f"{classifier.graph}: has {len(tensors)} {kind}s, and none is named")
        return tensors[0]
    if not isinstance(named, dict) or wanted not in named:
        raise ValueError(f"{classifier.graph}: has no {kind} {wanted!r}")
    return tensors[sorted(named).index(wanted)]  # TensorFlow lays a signature out by name
