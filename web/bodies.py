"""The whole body of an HTTP request, in time, and the JSON in it."""

from __future__ import annotations

import binascii
import gc
import json
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import gevent
from flask import Request
from gevent.threadpool import ThreadPool
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from shared.settings import Settings
from web.threads import run_in

_SMALL = 64 * 1024  # bytes, that are parsed in a few milliseconds


class MalformedBodyError(Exception):
    """The body is broken, or lacks the image."""


class SlowBodyError(Exception):
    """The client took too long to send its body."""


def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body.

    Raises `SlowBodyError`, `MalformedBodyError` where it is broken or compressed, and werkzeug's
    `RequestEntityTooLarge`.
    """
    if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise MalformedBodyError("the body is compressed, which is not taken (Content-Encoding)")
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


def read_object(body: bytes, names: Collection[str]) -> dict[str, Any]:
    """Return what the JSON object `body` has under `names`, read apart where it is large.

    The rest, however large, does not wait for its request. Raises `MalformedBodyError`.
    """
    fields: dict[str, Any] = apart(len(body), _parse_named, body, names)
    return fields


def _parse_named(body: bytes, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in parse_object(body).items() if name in names}


def apart(size: int, read: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `read` returns of a body of `size` bytes.

    A large one is read off the event loop: it may be 16 MiB of tiny lists. One at a time: of such
    a body they take 350 MB. A small one waits for none of those.
    """
    if size < _SMALL:
        return read(*arguments)
    return run_in(_reader(), read, *arguments)


@cache
def _reader() -> ThreadPool:
    """Return the thread of this process that parses, made when it is first needed."""
    return ThreadPool(1)


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object as strictly as `parse_json`. Raises `MalformedBodyError`."""
    fields = parse_json(body)
    if not isinstance(fields, dict):
        raise MalformedBodyError("the JSON body is not an object")
    return fields


def parse_json(text: bytes | str) -> Any:
    """Parse strictly: UTF-8, no NaN, no key twice, no endless nesting, nothing after the end.

    Raises `MalformedBodyError`.
    """
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
        gc.enable()  # always: two threads that each put back what they found could leave it off


def parse_base64(text: str) -> bytes:
    """Return the bytes that strict base64 stands for. Raises `ValueError`.

    Its lines may be wrapped, as the command `base64` does. A space is no part of it: that is what
    becomes of a plus sign on a wrong way.
    """
    return binascii.a2b_base64(text.replace("\n", "").replace("\r", ""), strict_mode=True)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is there twice")
    return fields


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
