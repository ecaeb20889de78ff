"""The page at `/`."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def blueprint() -> Blueprint:
    """Return the route; what the page needs besides, Flask serves at `/static`."""
    routes = Blueprint("page", __name__)

    @routes.get("/")
    def index() -> Response:
        response = current_app.send_static_file("index.html")
        response.headers.update(_HEADERS)
        return response

    return routes
