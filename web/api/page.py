"""The page at `/`."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request

_HEADERS = {
    # The page's own files and this service, and nothing in the page itself; `blob:` is the photo.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
}


def blueprint() -> Blueprint:
    """Return the route; what the page needs besides, Flask serves at `/static`."""
    routes = Blueprint("page", __name__)

    @routes.get("/")
    def index() -> Response:
        return current_app.send_static_file("index.html")

    @routes.after_app_request
    def guard(response: Response) -> Response:
        if request.endpoint in ("page.index", "static"):  # by its own name the page is there, too
            response.headers.update(_HEADERS)
        return response

    return routes
