"""The digit service's protocol: `POST /recognize` with `{"image": "<base64>"}`, for model `digits`.

What the document behind it asks for is kept: a broken image or a missing field is a 400.
"""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, request

from shared.settings import Settings
from web.answers import to_answer
from web.catalog import Catalog
from web.prediction import Predictor
from web.sender import sender
from web.uploads import read_query

MODEL = "digits"


def blueprint(settings: Settings, catalog: Catalog, predictor: Predictor) -> Blueprint:
    """Return the route."""
    routes = Blueprint("recognize", __name__)

    @routes.post("/recognize")
    def recognize() -> Response:
        served = catalog.find(MODEL)
        g.model = served.model.name
        query = read_query(request, settings)
        served = catalog.find(MODEL)
        result = predictor.predict(served, query, *sender(served, query))
        return jsonify(to_answer(g.model, result))

    return routes
