"""Admission: a request that would wait past its deadline is refused before its photo is read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from shared.settings import Settings
from web import metrics
from web.errors import problem
from web.gate import Gate
from web.tickets import OverloadedError

_PATH = re.compile(r"/predict(?:/([^/]+))?/?")
_MS = re.compile(r"([0-9]{1,6})", re.ASCII)
_TIMEOUT = re.compile(r"(?:^|&)timeout_ms=([0-9]{1,6})(?:&|$)", re.ASCII)

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Admission:
    """A WSGI application in front of another, which it spares what cannot be answered in time.

    It stands before Flask because a refusal must cost next to nothing: it is given most when
    there is least to spare.
    """

    def __init__(self, app: WSGI, settings: Settings, gate: Callable[[str], Gate | None]) -> None:
        """`gate` finds a model's gate by its name; no name is the default model."""
        self._app = app
        self._settings = settings
        self._gate = gate

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Pass the request on, or refuse it."""
        waits = "respond-async" not in environ.get("HTTP_PREFER", "").lower()
        if environ["REQUEST_METHOD"] == "POST" and waits:
            path = _PATH.fullmatch(environ["PATH_INFO"])
            name = path[1] or self._settings.model if path else ""
            gate = self._gate(name) if name else None
            if gate is not None:
                excess_s = gate.excess_s(self._deadline_s(environ))
                if excess_s > 0:
                    return _refuse(name, excess_s, start_response)
        return self._app(environ, start_response)

    def _deadline_s(self, environ: Mapping[str, Any]) -> float:
        """Return the deadline as far as the header tells it; one in the body is not read yet."""
        found = _MS.fullmatch(environ.get("HTTP_X_REQUEST_TIMEOUT_MS", ""))
        found = found or _TIMEOUT.search(environ.get("QUERY_STRING", ""))
        return (int(found[1]) if found else self._settings.deadline_ms) / 1000


def _refuse(name: str, excess_s: float, start_response: Callable[..., Any]) -> list[bytes]:
    request_id = uuid.uuid4().hex
    status, headers, body = problem(OverloadedError(excess_s * 1000), request_id)
    metrics.REQUESTS.labels(name, str(status)).inc()
    headers |= {"X-Request-Id": request_id, "Content-Length": str(len(body))}
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [body]
