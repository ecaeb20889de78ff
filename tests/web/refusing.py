"""A web server that refuses every prediction, and has room for few connections.

python -m tests.web.refusing PORT CONNECTIONS
"""

from __future__ import annotations

import sys

from flask import Flask

from shared.settings import Settings
from web.server import Server


def make_app() -> Flask:
    """Return an application whose one model has a minute of work ahead."""
    # As in run_web.py: after gevent has patched the process.
    from web.admission import Admission
    from web.tickets import OverloadedError

    app = Flask(__name__)
    app.extensions["admission"] = Admission(
        app.wsgi_app, Settings(), lambda *_: OverloadedError(60_000)
    )
    app.add_url_rule("/livez", view_func=lambda: "live")
    return app


if __name__ == "__main__":
    server = Server(Settings(port=int(sys.argv[1])), 1, make_app)
    server.cfg.set("worker_connections", int(sys.argv[2]))
    server.run()
