"""An HTTP request of our own protocol → what it asks."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from shared.images import Point, looks_like_image
from shared.settings import Settings
from web.forms import read_form
from web.prediction import Query

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{0,9})?", re.ASCII)
_FIELDS = ("x", "y", "points", "timeout_ms", "top_k")


class MalformedBodyError(Exception):
    """The body is broken, or lacks the image."""


class SlowBodyError(Exception):
    """The client took too long to send its body."""


class ParameterError(Exception):
    """A parameter is not what it must be; the message names it."""


class NoSuchImageError(Exception):
    """`image_path` names nothing inside the media folder, or there is none."""


def read_query(request: Request, settings: Settings) -> Query:
    """Read any of our own three bodies: a form, JSON, or the image's own bytes.

    Which of the two latter it is, its content tells, not its declared type. Raises the errors
    above, those of `web.forms`, and werkzeug's `RequestEntityTooLarge`.
    """
    try:
        with gevent.Timeout(settings.body_timeout_s, SlowBodyError("no whole body in time")):
            image, given = _read_body(request, settings)
    except TimeoutError as error:
        raise SlowBodyError("no more of the body in time") from error
    except (ConnectionError, ClientDisconnected, ParseException) as error:
        # The client left in the middle, or its chunks are broken.
        raise MalformedBodyError("the body ended early or is broken") from error
    named = {name: given.get(name, request.args.get(name)) for name in _FIELDS}
    if "X-Request-Timeout-Ms" in request.headers:
        named["timeout_ms"] = request.headers["X-Request-Timeout-Ms"]
    points, many = _points(named, settings.max_points)
    timeout_ms = _whole(named, "timeout_ms", settings.deadline_ms, settings.max_deadline_ms)
    top_k = _whole(named, "top_k", 5, 1000)
    return Query([image], [points], timeout_ms, top_k, many)


def _read_body(request: Request, settings: Settings) -> tuple[bytes, Mapping[str, Any]]:
    body = request.get_data(cache=False)
    if request.content_length is None:
        # Of a chunked body werkzeug silently leaves out what is over the limit; its 413 comes
        # when more is asked for.
        request.stream.read(1)
    if request.mimetype == "multipart/form-data":
        return read_form(body, request.mimetype_params.get("boundary", ""), "image")
    if not _is_json(body, request.mimetype):
        return body, {}
    # Off the event loop: a body may be 16 MiB of tiny objects.
    fields = gevent.get_hub().threadpool.apply(_parse_json, (body,))
    if not isinstance(fields, dict):
        raise MalformedBodyError("the JSON body is not an object")
    return _named_image(fields, settings), fields


def _is_json(body: bytes, declared: str) -> bool:
    if body.lstrip()[:1] == b"{":
        return True
    return declared == "application/json" and not looks_like_image(body)


def _named_image(fields: Mapping[str, Any], settings: Settings) -> bytes:
    image, path = fields.get("image"), fields.get("image_path")
    if isinstance(image, str) and path is None:
        try:
            return binascii.a2b_base64(image, strict_mode=True)
        except ValueError as error:
            raise MalformedBodyError("'image' is not base64") from error
    if isinstance(path, str) and image is None:
        return _media_file(path, settings)
    raise MalformedBodyError("the JSON body has not one of 'image' and 'image_path', as text")


def _media_file(path: str, settings: Settings) -> bytes:
    if not settings.media_folder:
        raise NoSuchImageError("this service reads no images by path")
    try:
        folder = Path(settings.media_folder).resolve(strict=True)
        file = (folder / path).resolve(strict=True)
        if file.is_relative_to(folder) and file.is_file():
            if file.stat().st_size <= settings.max_body_bytes:
                return file.read_bytes()
            raise NoSuchImageError("the file is larger than a body may be")
    except (OSError, ValueError):  # ValueError: a NUL in the name
        pass
    raise NoSuchImageError("no such file in the media folder")


def _parse_json(text: bytes | str) -> Any:
    """Parse strictly: no NaN, no key twice, no endless nesting, nothing after the end."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError(f"the JSON is broken: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is there twice")
    return fields


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


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
            points = _parse_json(points)
        except MalformedBodyError as error:
            raise ParameterError(f"points: {error}") from error
    if not isinstance(points, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in points
    ):
        raise ParameterError("points is not [[x, y], ...]")
    if not 1 <= len(points) <= most:
        raise ParameterError(f"points has {len(points)} points, 1 to {most} are allowed")
    return [Point(_number("points", a), _number("points", b)) for a, b in points], True


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
