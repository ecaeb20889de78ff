"""The whole body of an HTTP request, in time, and the JSON in it."""

from __future__ import annotations

import gc
import json
from typing import Any

import gevent
from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from shared.settings import Settings


class MalformedBodyError(Exception):
    """The body is broken, or lacks the image."""


class SlowBodyError(Exception):
    """The client took too long to send its body."""


def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body.

    Raises `SlowBodyError`, `MalformedBodyError` where it is broken, and werkzeug's
    `RequestEntityTooLarge`.
    """
    try:
        with gevent.Timeout(settings.body_timeout_s, SlowBodyError("no whole body in time")):
            body = request.get_data(cache=False)
            if request.content_length is None:
                # Of a chunked body werkzeug silently leaves out what is over the limit; its 413
                # comes when more is asked for.
                request.stream.read(1)
    except (ConnectionError, ClientDisconnected, ParseException) as error:
        # The client left in the middle, or its chunks are broken.
        raise MalformedBodyError("the body ended early or is broken") from error
    return body


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` is. Raises `MalformedBodyError`.

    Off the event loop: a body may be 16 MiB of tiny objects.
    """
    fields = gevent.get_hub().threadpool.apply(parse_json, (body,))
    if not isinstance(fields, dict):
        raise MalformedBodyError("the JSON body is not an object")
    return fields


def parse_json(text: bytes | str) -> Any:
    """Parse strictly: UTF-8, no NaN, no key twice, no endless nesting, nothing after the end.

    Raises `MalformedBodyError`.
    """
    collects = gc.isenabled()
    # What is made here has no cycles, and to look for some takes twice as long as a tensor's
    # hundred thousand lists themselves.
    gc.disable()
    try:
        # Left to itself, the library takes UTF-16 and UTF-32, too.
        whole = text if isinstance(text, str) else text.decode("utf-8-sig")
        return json.loads(whole, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError(f"the JSON is broken: {error}") from error
    finally:
        if collects:
            gc.enable()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is there twice")
    return fields


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
