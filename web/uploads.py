"""An HTTP request of our own protocol → what it asks."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gevent
from flask import Request

from shared.images import Point, looks_like_image
from shared.settings import Settings
from web.bodies import MalformedBodyError, parse_base64, parse_json, read_body, read_object
from web.forms import LONGEST_TEXT, FormTooLargeError, read_form
from web.media import read_media
from web.prediction import Query
from web.threads import run_in
from web.tickets import DeadlineError

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{0,9})?", re.ASCII)
_TIMEOUT = "X-Request-Timeout-Ms"
_LONGEST_WAIT_MS = 999_999_999
_FIELDS = ("x", "y", "points", "timeout_ms", "top_k", "classifiers")
_IMAGES = ("image", "image_path")


class ParameterError(Exception):
    """A parameter is not what it must be; the message names it."""


def read_query(request: Request, settings: Settings) -> Query:
    """Read any of our own three bodies: a form, JSON, or the image's own bytes.

    Which of the two latter it is, its content tells, not its declared type. Raises the errors
    above and of `since`, those of `web.forms` and `web.media`, and werkzeug's
    `RequestEntityTooLarge`.
    """
    body = read_body(request, settings)
    came_at = time.monotonic()
    image, given = _read_image(request, body, settings)
    named = {name: given.get(name, request.args.get(name)) for name in _FIELDS}
    for name, value in named.items():
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise FormTooLargeError(f"{name!r} is longer than {LONGEST_TEXT} characters")
    points, many = _points(named, settings.max_points)
    if _TIMEOUT in request.headers:
        timeout_ms = read_timeout(request, settings)
    else:
        timeout_ms = _whole(named, "timeout_ms", settings.deadline_ms, settings.max_deadline_ms)
    top_k = _whole(named, "top_k", 5, 1000)
    classifiers = _names(named, "classifiers")
    query = Query([image], [points], timeout_ms, top_k, many, classifiers=classifiers)
    return since(came_at, query)


def read_timeout(request: Request, settings: Settings) -> int:
    """Return the deadline that the header asks for, in ms, or the default one.

    What is more than the longest one stands for that: the header says how long its sender can
    wait, whatever this service allows. Raises `ParameterError`.
    """
    named = {"timeout_ms": request.headers.get(_TIMEOUT)}
    asked_ms = _whole(named, "timeout_ms", settings.deadline_ms, _LONGEST_WAIT_MS)
    return min(asked_ms, settings.max_deadline_ms)


def since(came_at: float, query: Query) -> Query:
    """Return `query` with what is left of its time, whose body was there `came_at`.

    That is in monotonic seconds: to parse a body takes time, and more where others are before it.
    Raises `web.tickets.DeadlineError` where none is left.
    """
    left_ms = query.timeout_ms - int((time.monotonic() - came_at) * 1000)
    if left_ms <= 0:
        raise DeadlineError
    return replace(query, timeout_ms=left_ms)


def _read_image(
    request: Request, body: bytes, settings: Settings
) -> tuple[bytes, Mapping[str, Any]]:
    if request.mimetype == "multipart/form-data":
        return read_form(body, request.mimetype_params.get("boundary", ""), "image")
    if not _is_json(body, request.mimetype):
        return body, {}
    fields = read_object(body, (*_FIELDS, *_IMAGES))
    return _named_image(fields, settings), fields


def _is_json(body: bytes, declared: str) -> bool:
    if body.lstrip()[:1] == b"{":
        return True
    return declared == "application/json" and not looks_like_image(body)


def _named_image(fields: Mapping[str, Any], settings: Settings) -> bytes:
    image, path = fields.get("image"), fields.get("image_path")
    if isinstance(image, str) and path is None:
        try:
            return parse_base64(image)
        except ValueError as error:
            raise MalformedBodyError("'image' is not base64") from error
    if isinstance(path, str) and image is None:
        # Off the event loop: a disk may be slow.
        where = (settings.media_folder, path, settings.max_body_bytes)
        data: bytes = run_in(gevent.get_hub().threadpool, read_media, *where)
        return data
    raise MalformedBodyError("the JSON body has not one of 'image' and 'image_path', as text")


def _points(named: Mapping[str, Any], most: int) -> tuple[list[Point], bool]:
    x, y, points = named["x"], named["y"], named["points"]
    if points is None:
        if x is None and y is None:
            return [], False
        if x is None or y is None:
            raise ParameterError("x and y go together")
        return [Point(_number("x", x), _number("y", y))], False
    if x is not None or y is not None:
        raise ParameterError("either x and y, or points")
    if isinstance(points, str):
        try:
            points = parse_json(points)
        except MalformedBodyError as error:
            raise ParameterError(f"points: {error}") from error
    if not isinstance(points, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in points
    ):
        raise ParameterError("points is not [[x, y], ...]")
    if not 1 <= len(points) <= most:
        raise ParameterError(f"points has {len(points)} points, 1 to {most} are allowed")
    return [Point(_number("points", a), _number("points", b)) for a, b in points], True


def _names(named: Mapping[str, Any], name: str) -> list[str] | None:
    text = named[name]
    if text is None:
        return None
    if not isinstance(text, str):
        raise ParameterError(f"{name} is not a text of names with commas between them")
    return [part.strip() for part in text.split(",")]


def _number(name: str, value: Any) -> float:
    """Return a finite number, given as JSON's own or as decimal text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) < 1e9:
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    raise ParameterError(f"{name} is not a number that can be a coordinate")


def _whole(named: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = named[name]
    if value is None:
        return default
    number = _number(name, value)
    if number != int(number) or not 1 <= number <= most:
        raise ParameterError(f"{name} is not a whole number from 1 to {most}")
    return int(number)
