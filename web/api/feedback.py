"""`POST /feedback`: what somebody chose after a prediction."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from shared.feedback import Prediction
from shared.settings import Settings
from web.bodies import read_body, read_object
from web.catalog import Catalog
from web.storage import Storage
from web.uploads import ParameterError

_FIELDS = ("request_id", "place", "chosen")
_LONGEST = 200  # characters of a label


class FeedbackOffError(Exception):
    """This service keeps no feedback: it has no FEEDBACK_FOLDER."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class NoSuchPredictionError(LookupError):
    """No prediction of that request is kept."""


def blueprint(settings: Settings, catalog: Catalog, storage: Storage | None) -> Blueprint:
    """Return the route; without `storage` it says that feedback is off."""
    routes = Blueprint("feedback", __name__)

    @routes.post("/feedback")
    def feedback() -> Response:
        if storage is None:
            raise FeedbackOffError
        body = read_object(read_body(request, settings), _FIELDS)
        request_id, place = body.get("request_id"), body.get("place", 0)
        if not isinstance(request_id, str) or not request_id.isascii():
            raise ParameterError("request_id is not ASCII text")
        prediction = storage.find(request_id)
        if prediction is None:
            raise NoSuchPredictionError(f"no prediction of request {request_id[:64]!r} is kept")
        if type(place) is not int or not 0 <= place < len(prediction.items):
            raise ParameterError(f"place is not from 0 to {len(prediction.items) - 1}")
        chosen = _chosen(body.get("chosen"), prediction, place, catalog)
        if not storage.choose(request_id, place, chosen):
            raise NoSuchPredictionError(f"the prediction of request {request_id!r} is gone")
        return jsonify({"request_id": request_id, "success": True})

    return routes


def _chosen(
    chosen: Any, prediction: Prediction, place: int, catalog: Catalog
) -> dict[str, str | None]:
    """Return what is chosen: a label, or none, for classifiers that answered.

    Raises `ParameterError`.
    """
    names = prediction.items[place].keys() - {"point"}
    if not isinstance(chosen, dict) or not chosen or not chosen.keys() <= names:
        raise ParameterError(f"chosen is not an object with {' and '.join(sorted(names))}")
    queue = f"{prediction.model}:{prediction.version}"
    known = [served.model for served in catalog.everything() if served.model.queue == queue]
    labels = {each.name: each.labels for model in known for each in model.classifiers}
    for name, label in chosen.items():
        if label is None:
            continue
        if not isinstance(label, str) or not 0 < len(label) <= _LONGEST:
            raise ParameterError(f"chosen: {name} is neither a label nor null")
        if label not in labels.get(name, [label]):
            raise ParameterError(f"chosen: {label!r} is none of the labels of {name}")
    return chosen
