"""How the service is: `/livez`, `/readyz`, `/metrics`, `/models`, `/openapi.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify

from shared.manifest import Classifier
from web import metrics
from web.catalog import Catalog, Served
from web.tickets import NoWorkerError

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPENAPI = Path(__file__).parent.parent / "openapi.json"


def blueprint(catalog: Catalog) -> Blueprint:
    """Return the routes; readiness is about the default model."""
    routes = Blueprint("health", __name__)
    openapi = _OPENAPI.read_bytes()

    @routes.get("/livez")
    def livez() -> Response:
        return jsonify({"live": True})

    @routes.get("/readyz")
    def readyz() -> Response:
        workers = len(catalog.find().census().workers)
        if not workers:
            raise NoWorkerError(f"no live, warmed-up worker serves {catalog.default!r}")
        return jsonify({"ready": True, "model": catalog.default, "workers": workers})

    @routes.get("/metrics")
    def metrics_text() -> Response:
        return Response(metrics.exposition(catalog), content_type=_TEXT)

    @routes.get("/models")
    def models_list() -> Response:
        return jsonify(
            {"default": catalog.default, "models": [_about(served) for served in catalog]}
        )

    @routes.get("/openapi.json")
    def openapi_json() -> Response:
        return Response(openapi, content_type="application/json")

    return routes


def _about(served: Served) -> dict[str, Any]:
    model = served.model
    census = served.census()
    return {
        "name": model.name,
        "version": model.version,
        "description": model.description,
        "classifiers": [_about_classifier(item) for item in model.classifiers],
        "queue": {
            "items": census.items,
            "bytes": census.bytes,
            "leased_requests": census.leased,
            "drain_items_per_second": round(census.drain_rate, 1),
        },
        "workers": census.workers,
    }


def _about_classifier(classifier: Classifier) -> dict[str, Any]:
    crop = classifier.crop
    part = {"fraction": crop.fraction} if crop.pixels is None else {"pixels": crop.pixels}
    return {
        "name": classifier.name,
        "crop": part,
        "size": [crop.width, crop.height],
        "labels": classifier.labels,
    }
