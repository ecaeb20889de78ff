"""TensorFlow Serving's REST API, v1: status, metadata, predict and classify.

Its shapes are in https://www.tensorflow.org/tfx/serving/api_rest; what a body asks for is read in
`web.instances`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from shared.manifest import Classifier, Model
from shared.settings import Settings
from web.answers import to_json
from web.bodies import apart, parse_object, read_body
from web.catalog import Catalog, Served
from web.instances import SIGNATURE, read_examples, read_tensors
from web.prediction import Predictor, Query
from web.sender import sender
from web.softmax import Softmax, likeliest, read_softmax, to_numbers
from web.tensors import IMAGE
from web.uploads import read_timeout, since


def blueprint(settings: Settings, catalog: Catalog, predictor: Predictor) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("tfserving", __name__, url_prefix="/v1/models")

    @routes.get("/<name>")
    @routes.get("/<name>/versions/<int:version>")
    @routes.get("/<name>/labels/<label>")
    def status(name: str, version: int | None = None, label: str = "") -> Response:
        whole = version is None and not label
        served = catalog.available(name) if whole else [find(name, version, label)]
        return jsonify({"model_version_status": [_status(each) for each in served]})

    @routes.get("/<name>/metadata")
    @routes.get("/<name>/versions/<int:version>/metadata")
    @routes.get("/<name>/labels/<label>/metadata")
    def metadata(name: str, version: int | None = None, label: str = "") -> Response:
        return jsonify(_metadata(find(name, version, label).model))

    @routes.post("/<name>:predict")
    @routes.post("/<name>/versions/<int:version>:predict")
    @routes.post("/<name>/labels/<label>:predict")
    def predict(name: str, version: int | None = None, label: str = "") -> Response:
        served, by_column, query = read(_read_predict, name, version, label)
        softmax = ask(served, query)
        if by_column:
            return _answer(softmax, lambda: {"outputs": _columns(softmax)})
        return _answer(softmax, lambda: {"predictions": _rows(softmax)})

    @routes.post("/<name>:classify")
    @routes.post("/<name>/versions/<int:version>:classify")
    @routes.post("/<name>/labels/<label>:classify")
    def classify(name: str, version: int | None = None, label: str = "") -> Response:
        served, chosen, query = read(_read_classify, name, version, label)
        softmax = ask(served, query)
        scores = softmax[chosen.name]
        return _answer(softmax, lambda: {"results": _classes(scores, chosen.labels)})

    def find(name: str, version: int | None, label: str) -> Served:
        served = catalog.find(name, label if version is None else str(version))
        g.model = served.model.name
        return served

    def read(
        reads: Callable[..., Any], name: str, version: int | None, label: str
    ) -> tuple[Served, Any, Query]:
        """Read the body; what serves the model is found anew then, for it may take a while."""
        find(name, version, label)
        body = read_body(request, settings)
        came_at = time.monotonic()
        served = find(name, version, label)
        limits = read_timeout(request, settings), settings.max_items
        asked, query = apart(len(body), reads, served.model, body, *limits)
        return served, asked, since(came_at, query)

    def ask(served: Served, query: Query) -> dict[str, Softmax]:
        result = predictor.predict(served, query, *sender(served, query))
        return read_softmax(served.model, result)

    return routes


# A body is parsed and read in one go: what is parsed is large, and would wait between the two.


def _read_predict(model: Model, body: bytes, *limits: int) -> tuple[bool, Query]:
    """Return whether the answer is by column, `outputs` for `inputs`, and what is asked."""
    fields = parse_object(body)
    return "inputs" in fields, read_tensors(model, fields, *limits)


def _read_classify(model: Model, body: bytes, *limits: int) -> tuple[Classifier, Query]:
    return read_examples(model, parse_object(body), *limits)


def _status(served: Served) -> dict[str, Any]:
    workers = served.census().workers
    code, message = ("OK", "") if workers else ("UNAVAILABLE", "no worker is ready")
    return {
        "version": served.model.version,
        "state": "AVAILABLE" if workers else "LOADING",
        "status": {"error_code": code, "error_message": message},
    }


def _metadata(model: Model) -> dict[str, Any]:
    signatures = {
        SIGNATURE: _signature(
            "predict",
            [_tensor(item.name, "DT_UINT8", -1, *item.shape) for item in model.classifiers]
            + [_tensor(IMAGE, "DT_STRING", -1)],
            [_tensor(item.name, "DT_FLOAT", -1, len(item.labels)) for item in model.classifiers],
        )
    }
    for item in model.classifiers:
        count = len(item.labels)
        signatures[item.name] = _signature(
            "classify",
            [_tensor("inputs", "DT_STRING", -1)],
            [_tensor("classes", "DT_STRING", -1, count), _tensor("scores", "DT_FLOAT", -1, count)],
        )
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": model.version},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _signature(
    method: str, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "inputs": {entry["name"].removesuffix(":0"): entry for entry in inputs},
        "outputs": {entry["name"].removesuffix(":0"): entry for entry in outputs},
        "method_name": f"tensorflow/serving/{method}",
    }


def _tensor(name: str, dtype: str, *shape: int) -> dict[str, Any]:
    dimensions = [{"size": str(length), "name": ""} for length in shape]
    return {
        "dtype": dtype,
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": f"{name}:0",
    }


def _answer(softmax: dict[str, Softmax], make: Callable[[], dict[str, Any]]) -> Response:
    return Response(to_json(softmax, make), mimetype="application/json")


def _columns(softmax: dict[str, Softmax]) -> Any:
    """Return an object of batches, or the one batch there is."""
    columns = {name: to_numbers(numbers) for name, numbers in softmax.items()}
    return columns if len(columns) > 1 else next(iter(columns.values()))


def _rows(softmax: dict[str, Softmax]) -> list[Any]:
    """Return an object per instance, or a plain list where there is one output."""
    columns = _columns(softmax)
    if not isinstance(columns, dict):
        return list(columns)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _classes(softmax: Softmax, labels: tuple[str, ...]) -> list[list[tuple[str, float]]]:
    """Return per example its pairs of label and score, likeliest first."""
    order = likeliest(softmax, len(labels))
    return [
        [(labels[place], scores[place]) for place in places]
        for places, scores in zip(order.tolist(), to_numbers(softmax), strict=True)
    ]
