"""The Flask application, put together from its collaborators."""

from __future__ import annotations

import uuid

from flask import Flask, Response, g, request

from shared.rates import Rates
from shared.settings import Settings
from web import errors, metrics
from web.access import Access
from web.admission import Admission
from web.api import feedback, health, inference, page, predict, recognize, tfserving
from web.api_keys import ApiKeys
from web.catalog import Catalog
from web.cors import Cors
from web.prediction import Predictor
from web.room import Room
from web.storage import Storage


def create_app(
    settings: Settings,
    catalog: Catalog,
    predictor: Predictor,
    keys: ApiKeys | None = None,
    rates: Rates | None = None,
    storage: Storage | None = None,
) -> Flask:
    """Return the application; without `keys` and `rates` whoever reaches it may use it."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    room = Room(app.wsgi_app, settings.max_body_bytes)
    admission = Admission(room, settings, catalog.refusal)
    app.wsgi_app = admission  # type: ignore[method-assign]
    app.extensions["admission"] = admission  # the server asks it, too, before it parses HTTP
    if keys or rates:
        app.wsgi_app = Access(app.wsgi_app, settings, keys, rates)  # type: ignore[method-assign]
    if settings.cors_origins:
        app.wsgi_app = Cors(app.wsgi_app, settings.origins())  # type: ignore[method-assign]
    app.register_blueprint(predict.blueprint(settings, catalog, predictor))
    for door in (recognize, tfserving, inference):
        app.register_blueprint(door.blueprint(settings, catalog, predictor))
    app.register_blueprint(feedback.blueprint(settings, catalog, storage))
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
        response.headers["X-Content-Type-Options"] = "nosniff"
        if "model" in g:
            metrics.REQUESTS.labels(g.model, str(response.status_code)).inc()
        return response

    return app
