"""Admission: a request that would wait past its deadline is refused before its photo is read.

So is one that the queue would refuse, too. A refusal must cost next to nothing: it is given most
when there is least to spare. So the server gives it before it parses HTTP where the request is a
plain one (`web/connection.py`), and of the others this stands before Flask.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import Counter

from shared.settings import Settings
from web import metrics
from web.api import recognize
from web.errors import problem

# One group for the model at most; none: the default one. Who names a version is refused when the
# body is there: only then is it known whether a label stands for the one that has too much in hand.
_PATH = re.compile(
    r"/predict(?:/([^/]+))?/?|/recognize"
    r"|/v1/models/([^/:]+):(?:predict|classify)"
    r"|/v2/models/([^/]+)/infer"
)
_MS = re.compile(r"([0-9]{1,6})", re.ASCII)
_TIMEOUT = re.compile(r"(?:^|&)timeout_ms=([0-9]{1,6})(?:&|$)", re.ASCII)

Refusal = tuple[str, dict[str, str], bytes]  # status line, headers, body


class Admission:
    """A WSGI application in front of another, which it spares what cannot be answered in time."""

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings,
        refused: Callable[[str, float], Exception | None],
    ) -> None:
        """`refused` tells what refuses a request for a model, by name, that has so many seconds."""
        self._app = app
        self._settings = settings
        self._refused = refused

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or refuse it."""
        if environ["REQUEST_METHOD"] == "POST":
            refusal = self.refusal(
                environ["PATH_INFO"],
                environ.get("QUERY_STRING", ""),
                environ.get("HTTP_X_REQUEST_TIMEOUT_MS", ""),
            )
            if refusal:
                status, headers, body = refusal
                start_response(status, list(headers.items()))
                return [body]
        return self._app(environ, start_response)

    def refusal(self, path: str, query: str, timeout_ms: str) -> Refusal | None:
        """Return the answer to a POST that cannot be answered in time; None: pass it on.

        `timeout_ms` is the header's. A deadline in the body is not read yet, and the usual one
        stands for it.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        name = found[found.lastindex] if found.lastindex else self._settings.model
        if path == "/recognize":
            name = recognize.MODEL
        ms = _MS.fullmatch(timeout_ms) or _TIMEOUT.search(query)
        asked_ms = int(ms[1]) if ms else self._settings.deadline_ms
        error = self._refused(name, min(asked_ms, self._settings.max_deadline_ms) / 1000)
        if error is None:
            return None
        request_id = uuid.uuid4().hex
        status, headers, body = problem(error, request_id, path)
        _refused(name).inc()
        headers |= {"X-Request-Id": request_id, "Content-Length": str(len(body))}
        return f"{status} {HTTPStatus(status).phrase}", headers, body


@cache
def _refused(model: str) -> Counter:
    return metrics.REQUESTS.labels(model, "503")
