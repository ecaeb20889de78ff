"""The Open Inference Protocol, v2, with the extensions that the server metadata names.

Its shapes are in https://github.com/kserve/open-inference-protocol; what a body asks for is read in
`web.inference`.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from shared.manifest import Model
from shared.settings import Settings
from web.answers import to_json
from web.bodies import apart, read_body
from web.catalog import Catalog, Served
from web.inference import read_inference, to_outputs
from web.prediction import Predictor
from web.sender import sender
from web.softmax import read_softmax
from web.tensors import IMAGE
from web.tickets import NoWorkerError
from web.uploads import since

_VERSION = "0.1.0"  # of this service, as in pyproject.toml
_HEADER_LENGTH = "Inference-Header-Content-Length"
_EXTENSIONS = ["classification", "binary_tensor_data", "timeout"]


def blueprint(settings: Settings, catalog: Catalog, predictor: Predictor) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("inference", __name__, url_prefix="/v2")

    @routes.get("")
    def server() -> Response:
        return jsonify({"name": "batchpoint", "version": _VERSION, "extensions": _EXTENSIONS})

    @routes.get("/health/live")
    def live() -> Response:
        return jsonify({"live": True})

    @routes.get("/health/ready")
    def ready() -> Response:
        _check_workers(catalog.find())
        return jsonify({"ready": True})

    @routes.get("/models/<name>")
    @routes.get("/models/<name>/versions/<version>")
    def metadata(name: str, version: str = "") -> Response:
        versions = [served.model.version for served in catalog.available(name)]
        return jsonify(_metadata(catalog.find(name, version).model, versions))

    @routes.get("/models/<name>/ready")
    @routes.get("/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str = "") -> Response:
        served = catalog.find(name, version)
        _check_workers(served)
        return jsonify({"name": served.model.name, "ready": True})

    @routes.post("/models/<name>/infer")
    @routes.post("/models/<name>/versions/<version>/infer")
    def infer(name: str, version: str = "") -> Response:
        served = catalog.find(name, version)
        g.model = served.model.name
        body = read_body(request, settings)
        came_at = time.monotonic()
        served = catalog.find(name, version)
        header_length = request.headers.get(_HEADER_LENGTH)
        asked = apart(len(body), read_inference, served.model, body, header_length, settings)
        del body  # what is in it need not wait for the answer
        query = since(came_at, asked.query)
        result = predictor.predict(served, query, *sender(served, query))
        softmax = read_softmax(served.model, result)
        about = {
            "model_name": served.model.name,
            "model_version": result.version,
            "id": asked.id or g.request_id,
        }
        parts: list[bytes] = []
        text = to_json(softmax, lambda: {**about, "outputs": to_outputs(asked, softmax, parts)})
        if not parts:
            return Response(text, mimetype="application/json")
        answer = Response(text + b"".join(parts), content_type="application/octet-stream")
        answer.headers[_HEADER_LENGTH] = str(len(text))
        return answer

    return routes


def _check_workers(served: Served) -> None:
    if not served.census().workers:
        raise NoWorkerError(f"no live, warmed-up worker serves {served.model.name!r}")


def _metadata(model: Model, versions: list[str]) -> dict[str, Any]:
    tensors = [
        {"name": item.name, "datatype": "UINT8", "shape": [-1, *item.shape]}
        for item in model.classifiers
    ]
    return {
        "name": model.name,
        "versions": versions,
        "platform": "batchpoint",
        # One or the other: the image, or a tensor for each classifier.
        "inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [-1]}, *tensors],
        "outputs": [
            {"name": item.name, "datatype": "FP32", "shape": [-1, len(item.labels)]}
            for item in model.classifiers
        ],
    }
