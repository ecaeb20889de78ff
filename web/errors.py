"""The only table from exception to HTTP: every failure becomes problem+json (RFC 9457)."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass

from flask import Flask, Response, g, request
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from shared import images, manifest, rates
from shared.logs import fields
from web import api_keys, bodies, catalog, forms, media, storage, tensors, tickets, uploads
from web.api import feedback

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its HTTP status, the end of its `type`, and its title.

    No name stands for a status of HTTP's own that says all there is to say.
    """

    status: int
    name: str
    title: str


KINDS: dict[type[Exception], Kind] = {
    api_keys.UnknownKeyError: Kind(401, "no-key", "A key is needed"),
    api_keys.ScopeError: Kind(403, "scope", "The key is not for this"),
    rates.OverRateError: Kind(429, "over-rate", "Too many requests"),
    NotFound: Kind(404, "not-found", "Nothing is here"),
    catalog.NoSuchModelError: Kind(404, "not-found", "Nothing is here"),
    MethodNotAllowed: Kind(405, "method-not-allowed", "The method is not allowed"),
    RequestEntityTooLarge: Kind(413, "body-too-large", "The body is too large"),
    forms.FormTooLargeError: Kind(413, "body-too-large", "The body is too large"),
    forms.FormError: Kind(400, "malformed-body", "The body cannot be read"),
    bodies.MalformedBodyError: Kind(400, "malformed-body", "The body cannot be read"),
    bodies.SlowBodyError: Kind(408, "slow-body", "The body came too slowly"),
    uploads.ParameterError: Kind(422, "bad-parameter", "A parameter is wrong"),
    manifest.NoSuchClassifierError: Kind(422, "bad-parameter", "A parameter is wrong"),
    feedback.FeedbackOffError: Kind(501, "feedback-off", "No feedback is kept here"),
    feedback.NoSuchPredictionError: Kind(404, "not-found", "Nothing is here"),
    storage.StorageError: Kind(503, "storage-away", "The feedback cannot be kept now"),
    tensors.TensorError: Kind(422, "bad-tensor", "A tensor is wrong"),
    media.NoSuchImageError: Kind(404, "no-such-image", "No such image in the media folder"),
    images.UnsupportedFormatError: Kind(415, "unsupported-image", "Not an image of a known format"),
    images.ImageTooLargeError: Kind(413, "image-too-large", "The image has too many pixels"),
    images.UndecodableImageError: Kind(422, "undecodable-image", "The image cannot be decoded"),
    images.PointOutsideError: Kind(422, "point-outside", "The point is outside the image"),
    tickets.IdempotencyConflictError: Kind(
        409, "idempotency-conflict", "The key belongs to another request"
    ),
    tickets.QueueFullError: Kind(503, "queue-full", "The queue is full"),
    tickets.StoreFullError: Kind(503, "store-full", "The queue's memory is full"),
    tickets.OverloadedError: Kind(503, "overloaded", "Too much is in hand"),
    tickets.NoWorkerError: Kind(503, "no-worker", "No worker is ready"),
    tickets.StoreAwayError: Kind(503, "store-away", "The queue cannot be reached"),
    tickets.DeadlineError: Kind(504, "deadline", "No answer by the deadline"),
    tickets.ClientLeftError: Kind(499, "client-left", "The client left"),
    tickets.InferenceError: Kind(500, "inference-failed", "The image could not be classified"),
}
UNKNOWN = Kind(500, "internal", "Something went wrong here")

# The doors for clients of other servers: their errors are {"error": ...}, in fewer statuses.
_DOORS = ("v1", "v2")
_FEWER = {415: 400, 422: 400}

# Where there is no worker, no Redis or no memory in it, nothing measured tells for how long.
# A worker is warm a few seconds after it starts, Redis likewise, and its memory soon free again.
_RETRY_AFTER_S = 5


def install(app: Flask) -> None:
    """Let `app` answer every exception by the table."""
    app.register_error_handler(Exception, to_response)


def problem(
    error: Exception, request_id: str, path: str = "/"
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of what stands for `error` at `path`: problem+json.

    Or, behind the doors of other protocols, what those say.
    """
    kind = _kind(error)
    first = path.removeprefix("/").split("/")[0]
    status = kind.status
    if first in (*_DOORS, "recognize"):
        status = _FEWER.get(status, status)
    headers = {"X-Content-Type-Options": "nosniff"}
    if status == 503:
        headers["Retry-After"] = str(_retry_after_s(error))
    if first in _DOORS:
        headers["Content-Type"] = "application/json"
        return status, headers, json.dumps({"error": _detail(error, kind)}).encode()
    content = {
        "type": f"urn:batchpoint:problem:{kind.name}" if kind.name else "about:blank",
        "title": kind.title,
        "status": status,
        "detail": _detail(error, kind),
        "request_id": request_id,
        "success": False,
    }
    headers["Content-Type"] = "application/problem+json"
    if isinstance(error, tickets.DeadlineError) and error.request_id:
        content["result"] = headers["Location"] = f"/results/{error.request_id}"
    return status, headers, json.dumps(content).encode()


def to_response(error: Exception) -> Response:
    """Return the answer to a request that failed by `error`, and log it."""
    kind = _kind(error)
    status, headers, body = problem(error, g.request_id, request.path)
    response = Response(body, status, headers)
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name not in ("Content-Type", "Content-Length"):
                response.headers[name] = value
    if kind is UNKNOWN:
        _log.exception("request failed", exc_info=error, extra=fields(request_id=g.request_id))
    elif "model" in g:
        _log.info(
            "prediction refused",
            extra=fields(request_id=g.request_id, model=g.model, status=status, problem=kind.name),
        )
    return response


def _kind(error: Exception) -> Kind:
    for cls, kind in KINDS.items():
        if isinstance(error, cls):
            return kind
    if isinstance(error, HTTPException) and error.code:
        return Kind(error.code, "", error.name)
    return UNKNOWN


def _detail(error: Exception, kind: Kind) -> str:
    if kind is UNKNOWN:
        return "the request id finds the trace in the log"
    if isinstance(error, HTTPException):
        return error.description or error.name
    return str(error) or kind.title


def _retry_after_s(error: Exception) -> int:
    if isinstance(error, tickets.BusyError):
        return min(max(math.ceil(error.retry_after_ms / 1000), 1), 60)
    return _RETRY_AFTER_S
