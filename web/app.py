"""The Flask application, put together from its collaborators."""

from __future__ import annotations

import uuid

from flask import Flask, Response, g, request

from shared.settings import Settings
from web import errors, metrics
from web.admission import Admission
from web.api import health, page, predict
from web.catalog import Catalog
from web.prediction import Predictor


def create_app(settings: Settings, catalog: Catalog, predictor: Predictor) -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.wsgi_app = Admission(app.wsgi_app, settings, catalog.gate)  # type: ignore[method-assign]
    app.register_blueprint(predict.blueprint(settings, catalog, predictor))
    app.register_blueprint(health.blueprint(catalog))
    app.register_blueprint(page.blueprint())
    errors.install(app)

    @app.before_request
    def begin() -> None:
        # gunicorn says by this that a body ends where its stream does, even one that was cut off;
        # without it, werkzeug holds a body against its Content-Length.
        if request.content_length is not None:
            request.environ.pop("wsgi.input_terminated", None)
        g.request_id = uuid.uuid4().hex

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        if "model" in g:
            metrics.REQUESTS.labels(g.model, str(response.status_code)).inc()
        return response

    return app
