"""The application under test: it does what a web process of the service does, and no more.

It imports the standard library only, so that it runs in every candidate's environment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

BODY_LIMIT = 16 * 1024 * 1024  # bytes
WAIT_S = 0.020  # a request waits for its batch; gevent's servers have patched `time.sleep`
SLOW_S = 3.0  # a request that is still running when the server is told to stop
ANSWER = 700  # bytes
LARGE = b"x" * (8 * 1024 * 1024)  # more than the kernel buffers for a client that reads nothing

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class BodyError(Exception):
    """The body cannot be had; the message is the status to answer."""


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """POST: read the body, wait, answer about 700 bytes of JSON; GET /large: 8 MiB."""
    return serve(environ, start_response, read_body)


def serve(
    environ: Environ, start_response: StartResponse, read: Callable[[Environ], int]
) -> Iterable[bytes]:
    """Answer one request; `read` takes its body and says how many bytes that were."""
    path = environ["PATH_INFO"]
    if path == "/livez":
        return answer(start_response, "200 OK", b"ok")
    if path == "/large":
        return answer(start_response, "200 OK", LARGE)
    length = environ.get("CONTENT_LENGTH")
    if length and int(length) > BODY_LIMIT:
        return answer(start_response, "413 Content Too Large", b"too large")
    try:
        received = read(environ)
    except BodyError as error:
        return answer(start_response, str(error), b"")
    if received > BODY_LIMIT:
        return answer(start_response, "413 Content Too Large", b"too large")
    time.sleep(SLOW_S if path == "/slow" else WAIT_S)
    text = json.dumps({"pid": os.getpid(), "received": received}).encode()
    return answer(start_response, "200 OK", text.ljust(ANSWER))


def read_body(environ: Environ) -> int:
    """Read the body up to one piece past the limit; return how many bytes came."""
    received = 0
    left = int(environ.get("CONTENT_LENGTH") or BODY_LIMIT + 1)
    if not environ.get("CONTENT_LENGTH") and not environ.get("HTTP_TRANSFER_ENCODING"):
        return 0
    while left > 0:
        piece = environ["wsgi.input"].read(min(left, 65536))
        if not piece:
            break
        received += len(piece)
        left -= len(piece)
    return received


def answer(start_response: StartResponse, status: str, body: bytes) -> Iterable[bytes]:
    """Send `body` with its length."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
