"""Our own protocol: `/predict`, `/predict/<model>` and `/results/<id>`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import gevent
from flask import Blueprint, Response, abort, g, jsonify, request

from shared.logs import fields
from shared.manifest import Model
from shared.messages import Request
from shared.queue import Queue
from shared.settings import Settings
from web import metrics
from web.admission import Gate
from web.answers import to_answer, to_context
from web.decoding import Decoder
from web.dispatch import Dispatcher, kept_result
from web.tickets import DeadlineError
from web.uploads import Upload, read_upload

_log = logging.getLogger(__name__)


def blueprint(
    settings: Settings,
    models: Mapping[str, Model],
    queues: Mapping[str, Queue],
    dispatchers: Mapping[str, Dispatcher],
    decoder: Decoder,
    gates: Mapping[str, Gate],
) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    @routes.post("/predict/<name>")
    def predict(name: str = settings.model) -> Response:
        if name not in models:
            abort(404, f"there is no model {name!r}")
        g.model = name
        upload = read_upload(request, settings)
        started = time.perf_counter()
        if "respond-async" in request.headers.get("Prefer", "").lower():
            dispatchers[name].enqueue(to_message(models[name], upload, started))
            return _accepted(g.request_id)
        with gates[name].in_hand():
            client = request.environ.get("gunicorn.socket")
            client_fd = client.fileno() if client else -1
            message = to_message(models[name], upload, started, client_fd)
            result = dispatchers[name].predict(message, client_fd)
        answer = to_answer(name, result, (time.perf_counter() - started) * 1000)
        metrics.count_answer(name, answer)
        _log.info(
            "prediction",
            extra=fields(
                request_id=g.request_id,
                model=name,
                version=result.version,
                points=message.items,
                batch_size=result.batch_size,
                timing_ms=answer["timing_ms"],
            ),
        )
        return jsonify(answer)

    def to_message(model: Model, upload: Upload, started: float, client_fd: int = -1) -> Request:
        """Decode and cut; the request has what is left of its budget then."""
        # A photo that still waits for a thread at its deadline is never decoded.
        with gevent.Timeout(upload.timeout_ms / 1000, DeadlineError()):
            points, tensors = decoder.prepare(model, upload.image, upload.points, client_fd)
        decode_ms = (time.perf_counter() - started) * 1000
        left_ms = upload.timeout_ms - int(decode_ms)
        if left_ms <= 0:
            raise DeadlineError
        context = to_context(points, upload.many, decode_ms)
        return Request(g.request_id, tensors, left_ms, upload.top_k, context=context)

    @routes.get("/results/<request_id>")
    def results(request_id: str) -> Response:
        for name, queue in queues.items():
            try:
                result = kept_result(queue, request_id)
            except KeyError:
                continue
            return _accepted(request_id) if result is None else jsonify(to_answer(name, result))
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
