"""A body of the Open Inference Protocol → what it asks of a model; a softmax → its outputs.

Tensors come and go as JSON or, with `binary_data_size`, raw behind the JSON: little-endian, and of
BYTES each element with its length in front, 4 bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from shared.manifest import Classifier, Model
from shared.settings import Settings
from web.bodies import MalformedBodyError, parse_object
from web.prediction import Query
from web.softmax import Softmax, likeliest, to_numbers
from web.tensors import IMAGE, TensorError, ask_images, ask_tensors, to_array, to_image

_DTYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}


@dataclass(frozen=True)
class Output:
    """An output that a client wants: of which classifier, and in which form."""

    classifier: Classifier
    binary: bool
    classes: int  # as so many `score:index:label`; 0: as the softmax itself


@dataclass(frozen=True)
class Asked:
    """What the body of an inference asks."""

    id: str
    query: Query
    outputs: list[Output]


def read_inference(
    model: Model, body: bytes, header_length: str | None, settings: Settings
) -> Asked:
    """Read a body, whose JSON is its first `header_length` bytes, or all of it.

    Raises `MalformedBodyError` or `web.tensors.TensorError`.
    """
    length = _length(header_length, len(body)) if header_length is not None else len(body)
    fields = parse_object(body[:length])
    inputs = _read_inputs(fields.get("inputs"), memoryview(body)[length:])
    parameters = _parameters(fields)
    timeout_ms = _timeout_ms(parameters, settings)
    outputs = _read_outputs(model, fields.get("outputs"), parameters)
    if inputs.keys() == {IMAGE}:
        wanted = sorted({output.classifier.name for output in outputs})
        query = ask_images(inputs[IMAGE], timeout_ms, settings.max_items, wanted)
    else:
        query = ask_tensors(model, inputs, timeout_ms, settings.max_items)
    id_ = fields.get("id", "")
    if not isinstance(id_, str):
        raise TensorError("'id' is not text")
    return Asked(id_, query, outputs)


def _length(text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most:
        return int(text)
    raise MalformedBodyError("Inference-Header-Content-Length is no part of the body's length")


def _objects(values: Any, name: str) -> list[dict[str, Any]]:
    if isinstance(values, list) and all(isinstance(value, dict) for value in values):
        return values
    raise TensorError(f"{name!r} is not a list of objects")


def _parameters(fields: Mapping[str, Any]) -> dict[str, Any]:
    parameters = fields.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise TensorError("'parameters' is not an object")
    return parameters


def _timeout_ms(parameters: Mapping[str, Any], settings: Settings) -> int:
    """Return the deadline; `timeout` is in microseconds, 0 and none stand for the default one."""
    timeout = parameters.get("timeout", 0)
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout < 0:
        raise TensorError("'timeout' is not a whole number of microseconds")
    if not timeout:
        return settings.deadline_ms
    return min(max(1, timeout // 1000), settings.max_deadline_ms)


def _read_inputs(inputs: Any, binary: memoryview) -> dict[str, Any]:
    """Return the inputs by name: a list of images, or arrays."""
    found: dict[str, Any] = {}
    for entry in _objects(inputs, "inputs"):
        name, shape, datatype = (entry.get(key) for key in ("name", "shape", "datatype"))
        if not isinstance(name, str) or name in found:
            raise TensorError("an input has no name, or one that another has")
        size = _parameters(entry).get("binary_data_size")
        raw = None
        if size is not None:
            if not isinstance(size, int) or not 0 <= size <= len(binary):
                raise TensorError(f"{name!r} has not the {size} bytes that it says")
            raw, binary = binary[:size], binary[size:]
        if (raw is None) == ("data" not in entry):
            raise TensorError(f"{name!r} has not one of 'data' and 'binary_data_size'")
        if (name == IMAGE) != (datatype == "BYTES"):
            raise TensorError(f"{name!r} cannot be {datatype}")
        if not _is_shape(shape, 2 if name == IMAGE else 4):
            raise TensorError(f"{name!r} has no shape, or one of too many axes")
        if name == IMAGE:
            images = _raw_images(raw) if raw is not None else _text_images(entry["data"])
            if len(images) != math.prod(shape):
                raise TensorError(f"{name!r} has {len(images)} images, not as its shape says")
            found[name] = images
        else:
            found[name] = _array(name, str(datatype), shape, raw, entry.get("data"))
    if binary:
        raise MalformedBodyError("there are more bytes than the inputs have")
    return found


def _is_shape(shape: Any, most_axes: int) -> TypeGuard[list[int]]:
    return (
        isinstance(shape, list)
        and len(shape) <= most_axes
        and all(isinstance(axis, int) and 0 <= axis < 2**31 for axis in shape)
    )


def _array(name: str, datatype: str, shape: list[int], raw: memoryview | None, data: Any) -> Any:
    """Return numbers in their shape; `web.tensors` judges what they are."""
    dtype: np.dtype[Any] | None = _DTYPES.get(datatype)
    if dtype is None:
        raise TensorError(f"{name!r} is {datatype}; {' and '.join(_DTYPES)} are known")
    try:
        array = np.frombuffer(raw, dtype) if raw is not None else to_array(data, name)
        return array.reshape(shape)
    except TensorError:
        raise
    except ValueError as error:
        raise TensorError(f"{name!r} has not as many numbers as its shape says") from error


def _raw_images(raw: memoryview) -> list[bytes]:
    images = []
    while raw:
        if len(raw) < 4 or len(raw) - 4 < (length := struct.unpack_from("<I", raw)[0]):
            raise TensorError("the images end within one")
        images.append(bytes(raw[4 : 4 + length]))
        raw = raw[4 + length :]
    return images


def _text_images(data: Any) -> list[bytes]:
    """Return the images that texts stand for: JSON has no bytes, so they are base64."""
    if not isinstance(data, list):
        raise TensorError("the images are not a list")
    rows = (row if isinstance(row, list) else [row] for row in data)
    return [to_image(text) for row in rows for text in row]


def _read_outputs(model: Model, outputs: Any, parameters: Mapping[str, Any]) -> list[Output]:
    """Return what is wanted: all outputs, where none are named."""
    classifiers = {item.name: item for item in model.classifiers}
    if not outputs:
        outputs = [{"name": name} for name in classifiers]
    wanted: dict[str, Output] = {}
    for entry in _objects(outputs, "outputs"):
        own = {**parameters, **_parameters(entry)}
        classifier = classifiers.get(str(entry.get("name")))
        if classifier is None:
            raise TensorError(f"an output is none of {', '.join(classifiers)}")
        if classifier.name in wanted:
            raise TensorError(f"the output {classifier.name!r} is named twice")
        binary = own.get("binary_data", own.get("binary_data_output", False))
        classes = own.get("classification", 0)
        if not isinstance(classes, int) or isinstance(classes, bool) or classes < 0:
            raise TensorError("'classification' is not a whole number")
        classes = min(classes, len(classifier.labels))
        wanted[classifier.name] = Output(classifier, binary is True, classes)
    return list(wanted.values())


def to_outputs(
    asked: Asked, softmax: Mapping[str, Softmax], parts: list[bytes]
) -> list[dict[str, Any]]:
    """Return the outputs as JSON; the bytes of those that are wanted so are put into `parts`."""
    entries = []
    for output in asked.outputs:
        values = softmax[output.classifier.name]
        entry: dict[str, Any] = {"name": output.classifier.name}
        if output.classes:
            texts = _classes(values, output)
            entry |= {"datatype": "BYTES", "shape": [len(values), output.classes]}
            encoded = [text.encode() for text in texts]
            raw = b"".join(struct.pack("<I", len(text)) + text for text in encoded)
            data: list[Any] = texts
        else:
            entry |= {"datatype": "FP32", "shape": list(values.shape)}
            raw = values.tobytes() if output.binary else b""
            data = [] if output.binary else to_numbers(values.reshape(-1))
        if output.binary:
            entry["parameters"] = {"binary_data_size": len(raw)}
            parts.append(raw)
        else:
            entry["data"] = data
        entries.append(entry)
    return entries


def _classes(softmax: Softmax, output: Output) -> list[str]:
    """Return the likeliest classes of each item, one after the other: `score:index:label`."""
    labels = output.classifier.labels
    return [
        f"{scores[place]:.6f}:{place}:{labels[place]}"
        for scores, places in zip(softmax, likeliest(softmax, output.classes), strict=True)
        for place in places
    ]
