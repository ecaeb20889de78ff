"""A body of TensorFlow Serving's REST API → what it asks of a model.

A model here has the signature `serving_default`, whose inputs are what `web.tensors` says, and one
to classify with by the name of each classifier. What has no name stands for `image` or, of a model
with one classifier, for its tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.manifest import Classifier, Model
from web.bodies import MalformedBodyError
from web.prediction import Query
from web.tensors import IMAGE, TensorError, ask_images, ask_tensors, to_image

SIGNATURE = "serving_default"


def read_tensors(model: Model, body: Mapping[str, Any], timeout_ms: int, most: int) -> Query:
    """Return what a body of `:predict` asks, with its `instances` or its `inputs`.

    Raises `MalformedBodyError` or `web.tensors.TensorError`.
    """
    _signature(body, [SIGNATURE])
    if ("instances" in body) == ("inputs" in body):
        raise MalformedBodyError("the body has not one of 'instances' and 'inputs'")
    named = _by_column(body["instances"]) if "instances" in body else body["inputs"]
    if not isinstance(named, dict) or "b64" in named:
        named = {_name(model, named): named}
    return _to_query(model, named, timeout_ms, most)


def read_examples(
    model: Model, body: Mapping[str, Any], timeout_ms: int, most: int
) -> tuple[Classifier, Query]:
    """Return what a body of `:classify` asks, and which classifier answers: the first, or another.

    Raises as `read_tensors`.
    """
    classifiers = {item.name: item for item in model.classifiers}
    chosen = _signature(body, [SIGNATURE, *classifiers])
    examples, context = body.get("examples"), body.get("context", {})
    if not _are_objects(examples) or not isinstance(context, dict):
        raise MalformedBodyError("'examples' is not a list of objects")
    assert examples is not None
    named = _by_column([{**context, **example} for example in examples])
    if not isinstance(named, dict):
        raise TensorError("an example has its features by name")
    if IMAGE in named:  # a feature may always be a list
        named[IMAGE] = [_alone(image) for image in named[IMAGE]]
    answering = classifiers.get(chosen, model.classifiers[0])
    return answering, _to_query(model, named, timeout_ms, most, [answering.name])


def _signature(body: Mapping[str, Any], known: list[str]) -> str:
    name = body.get("signature_name") or SIGNATURE
    if name not in known:
        raise TensorError(f"there is no signature {name!r} for this, but {', '.join(known)}")
    return str(name)


def _alone(values: Any) -> Any:
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def _are_objects(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)


def _by_column(instances: Any) -> Any:
    """Return named inputs as a list for each name; what has no names, as it is."""
    if not isinstance(instances, list) or not instances:
        raise TensorError("there are no instances")
    if not _are_objects(instances) or "b64" in instances[0]:
        return instances
    names = instances[0].keys()
    if any(instance.keys() != names for instance in instances):
        raise TensorError("the instances differ in the names of their inputs")
    return {name: [instance[name] for instance in instances] for name in names}


def _name(model: Model, values: Any) -> str:
    first = values[0] if isinstance(values, list) and values else values
    if isinstance(first, dict):
        return IMAGE
    if len(model.classifiers) > 1:
        raise TensorError(f"model {model.name!r} has several inputs: name them")
    return model.classifiers[0].name


def _to_query(
    model: Model,
    named: Mapping[str, Any],
    timeout_ms: int,
    most: int,
    classifiers: list[str] | None = None,
) -> Query:
    if named.keys() != {IMAGE}:
        return ask_tensors(model, named, timeout_ms, most)
    images = named[IMAGE] if isinstance(named[IMAGE], list) else [named[IMAGE]]
    if not all(isinstance(image, dict) and image.keys() == {"b64"} for image in images):
        raise TensorError('an image is not {"b64": "..."}')
    return ask_images([to_image(image["b64"]) for image in images], timeout_ms, most, classifiers)
