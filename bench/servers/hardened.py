"""The service's own server, around the application under test: what `run_web.py` starts."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import gevent

from bench.servers.app import BodyError, Environ, StartResponse, read_body, serve
from shared.settings import Settings
from web.bodies import SlowBodyError
from web.server import Server

BODY_S = Settings().body_timeout_s


def bounded(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The application under test, with the whole body due in `BODY_S`."""
    return serve(environ, start_response, read_whole)


def read_whole(environ: Environ) -> int:
    """Read the body. Raises `BodyError` if it takes longer than `BODY_S` or ends too soon.

    gunicorn hands a body that was cut off to the application as if it were whole.
    """
    try:
        with gevent.Timeout(BODY_S, BodyError("408 Request Timeout")):
            received = read_body(environ)
    except SlowBodyError as error:
        raise BodyError("408 Request Timeout") from error
    if received < int(environ.get("CONTENT_LENGTH") or 0):
        raise BodyError("400 Bad Request")
    return received


if __name__ == "__main__":
    Server(Settings(port=int(sys.argv[1])), 2, lambda: bounded).run()
