"""How the service is: `/livez`, `/readyz`, `/metrics`, `/models`, `/openapi.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from shared.manifest import Classifier, Model
from shared.queue import Queue
from web import metrics
from web.tickets import NoWorkerError, StoreAwayError

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPENAPI = Path(__file__).parent.parent / "openapi.json"


def blueprint(default: str, models: Mapping[str, Model], queues: Mapping[str, Queue]) -> Blueprint:
    """Return the routes; `default` is the model that readiness is about."""
    routes = Blueprint("health", __name__)
    openapi = json.loads(_OPENAPI.read_text(encoding="utf-8"))

    @routes.get("/livez")
    def livez() -> Response:
        return jsonify({"live": True})

    @routes.get("/readyz")
    def readyz() -> Response:
        try:
            workers = len(queues[default].census().workers)
        except RedisError as error:
            raise StoreAwayError("Redis does not answer") from error
        if not workers:
            raise NoWorkerError(f"no live, warmed-up worker serves {default!r}")
        return jsonify({"ready": True, "model": default, "workers": workers})

    @routes.get("/metrics")
    def metrics_text() -> Response:
        return Response(metrics.exposition(queues), content_type=_TEXT)

    @routes.get("/models")
    def models_list() -> Response:
        return jsonify(
            {"default": default, "models": [_about(model, queues) for model in models.values()]}
        )

    @routes.get("/openapi.json")
    def openapi_json() -> Response:
        return jsonify(openapi)

    return routes


def _about(model: Model, queues: Mapping[str, Queue]) -> dict[str, Any]:
    try:
        census = queues[model.name].census()
    except RedisError as error:
        raise StoreAwayError("Redis does not answer") from error
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
