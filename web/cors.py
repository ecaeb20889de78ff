"""CORS: pages of the origins that the settings name may ask from a browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, POST"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, Inference-Header-Content-Length, Prefer, "
        "X-API-Key, X-Request-Timeout-Ms, traceparent",
    ),
    ("Access-Control-Max-Age", "600"),
    ("Content-Length", "0"),
]
_EXPOSED = (
    "Inference-Header-Content-Length, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "X-Request-Id"
)


class Cors:
    """A WSGI application in front of another: it answers preflights, and says who may read.

    It stands before the keys, for a preflight brings none. It asks for no cookies: a key has to be
    put into a header, which no foreign page can make a browser do by itself.
    """

    def __init__(self, app: WSGIApplication, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, unless it is a preflight."""
        allowed = [("Vary", "Origin")]
        origin = environ.get("HTTP_ORIGIN", "")
        if origin in self._origins:
            allowed.append(("Access-Control-Allow-Origin", origin))
            asked = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            if environ["REQUEST_METHOD"] == "OPTIONS" and asked:
                start_response("204 No Content", allowed + _PREFLIGHT)
                return []
            allowed.append(("Access-Control-Expose-Headers", _EXPOSED))

        def start(status: str, given: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*given, *allowed], *rest)

        return self._app(environ, start)
