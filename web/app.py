"""The Flask application, put together from its collaborators."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from flask import Flask, Response, g, request

from shared.manifest import Model
from shared.queue import Queue
from shared.settings import Settings
from web import errors, metrics
from web.admission import Admission, Gate
from web.api import health, page, predict
from web.decoding import Decoder
from web.dispatch import Dispatcher


def create_app(
    settings: Settings,
    models: Mapping[str, Model],
    queues: Mapping[str, Queue],
    dispatchers: Mapping[str, Dispatcher],
    decoder: Decoder,
) -> Flask:
    """Return the application; `queues` are for looking, `dispatchers` for predicting."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    gates = {name: Gate() for name in models}
    app.wsgi_app = Admission(app.wsgi_app, settings, gates)  # type: ignore[method-assign]
    app.register_blueprint(predict.blueprint(settings, models, queues, dispatchers, decoder, gates))
    app.register_blueprint(health.blueprint(settings.model, models, queues))
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
