"""Our own protocol: `/predict`, `/predict/<model>` and `/results/<id>`."""

from __future__ import annotations

from flask import Blueprint, Response, abort, g, jsonify, request

from shared.settings import Settings
from web.answers import to_answer, with_whole_timing
from web.catalog import Catalog
from web.prediction import Predictor
from web.results import kept_result
from web.sender import sender
from web.uploads import read_query


def blueprint(settings: Settings, catalog: Catalog, predictor: Predictor) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    @routes.post("/predict/<name>")
    def predict(name: str = "") -> Response:
        served = catalog.find(name)
        g.model = served.model.name
        query = read_query(request, settings)
        served = catalog.find(name)
        request_id, client_fd, claim, held = sender(served, query)
        if "respond-async" in request.headers.get("Prefer", "").lower():
            predictor.enqueue(served, query, request_id, claim, held)
            return _accepted(request_id)
        result = predictor.predict(served, query, request_id, client_fd, claim, held)
        return jsonify(to_answer(g.model, result))

    @routes.get("/results/<request_id>")
    def results(request_id: str) -> Response:
        for served in catalog.everything():
            try:
                result = kept_result(served.queue, request_id)
            except KeyError:
                continue
            if result is None:
                return _accepted(request_id)
            if not result.items:  # it was asked at the door of another protocol
                continue
            return jsonify(to_answer(served.model.name, with_whole_timing(result)))
        abort(404, "there is no such result, or it is no longer kept")

    return routes


def _accepted(request_id: str) -> Response:
    """Return the 202 of a request that is not answered yet."""
    where = f"/results/{request_id}"
    response = jsonify({"request_id": request_id, "success": True, "result": where})
    response.status_code = 202
    response.headers["Location"] = where
    response.headers["Preference-Applied"] = "respond-async"
    response.headers["Retry-After"] = "1"
    return response
