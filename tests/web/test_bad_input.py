"""Bad input → answer: the contract's table, row by row, against the running service.

What is not even HTTP is in `test_raw_sockets.py`, bodies over the limit or cut off are in
`test_body_limits.py`, what is put right and answered is in `test_photos.py`.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from PIL import Image

from tests.photo_kinds import cat, encode, png_header
from tests.service import Service
from tests.web.bodies import answer, as_json, form, post, problem, raw, text

pytestmark = pytest.mark.service

PHOTO = encode(cat(), "JPEG")  # 451 x 300
PNG = encode(cat())
TINY = base64.b64encode(encode(Image.new("RGB", (3, 3)))).decode()
DISPOSITION = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'


@dataclass(frozen=True)
class Case:
    """A bad request and its answer."""

    name: str
    body: dict[str, Any]
    status: int
    kind: str
    says: str = ""  # a part of `detail`
    path: str = "/predict"
    method: str = "POST"


GREY = Image.new("L", (64, 64), 128)


def half(data: bytes) -> bytes:
    """Return the first half of a file."""
    return data[: len(data) // 2]


def multipart(content: bytes, declared: str = "multipart/form-data; boundary=b") -> dict[str, Any]:
    """Return a form as it is written, right or wrong."""
    return text(content, declared)


# --- 400: broken multipart or JSON

BROKEN_BODIES = [
    Case("a form without an image", {"files": {"a": b"1"}}, 400, "malformed-body", "'image'"),
    Case(
        "an image under another name",
        {"files": {"photo": ("a.jpg", PHOTO)}},
        400,
        "malformed-body",
        "'image'",
    ),
    Case("an image as a text", {"files": {"image": (None, "a.jpg")}}, 400, "malformed-body"),
    Case("no boundary", multipart(b"--b\r\n", "multipart/form-data"), 400, "malformed-body"),
    Case("an empty form", multipart(b""), 400, "malformed-body"),
    Case("a form that is none", multipart(b"junk"), 400, "malformed-body"),
    Case(
        "another boundary",
        multipart(b"--c\r\n" + DISPOSITION + PHOTO + b"\r\n--c--\r\n"),
        400,
        "malformed-body",
    ),
    Case(
        "a form that ends in the image",
        multipart(b"--b\r\n" + DISPOSITION + PHOTO[:3000]),
        400,
        "malformed-body",
    ),
    *(
        Case(
            f"a text in {charset}",
            multipart(
                b'--b\r\nContent-Disposition: form-data; name="x"\r\n'
                + f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
                + b"\xff" * 60_000
                + b"\r\n--b--\r\n"
            ),
            400,
            "malformed-body",
        )
        for charset in ("punycode", "undefined", "idna", "rot13", "none")
    ),
    Case("no JSON", text("nonsense"), 400, "malformed-body", "JSON"),
    Case("empty JSON", text(""), 400, "malformed-body", "JSON"),
    Case("half a JSON", text('{"image": "'), 400, "malformed-body", "JSON"),
    Case("a JSON list", text("[1, 2]"), 400, "malformed-body", "not an object"),
    Case("a JSON text", text('"a"'), 400, "malformed-body", "not an object"),
    Case("a JSON null", text("null"), 400, "malformed-body", "not an object"),
    Case("JSON in single quotes", text("{'image': 'a'}"), 400, "malformed-body", "JSON"),
    Case(
        "a JSON key twice",
        text(f'{{"image": "{TINY}", "x": 1, "y": 1, "x": 2}}'),
        400,
        "malformed-body",
        "twice",
    ),
    Case(
        "NaN in JSON",
        text(f'{{"image": "{TINY}", "x": NaN, "y": 1}}'),
        400,
        "malformed-body",
        "NaN",
    ),
    Case(
        "infinity in JSON",
        text(f'{{"image": "{TINY}", "x": -Infinity, "y": 1}}'),
        400,
        "malformed-body",
        "Infinity",
    ),
    Case("something after the JSON", text(f'{{"image": "{TINY}"}} x'), 400, "malformed-body"),
    Case("two JSON objects", text(f'{{"image": "{TINY}"}}' * 2), 400, "malformed-body"),
    # 1,000 levels are too deep for Python 3.11, 3.12 gives up somewhat later.
    Case(
        "a deep JSON list",
        text(f'{{"image": "{TINY}", "a": ' + "[" * 10_000 + "]" * 10_000 + "}"),
        400,
        "malformed-body",
    ),
    Case("deep JSON objects", text('{"a":' * 10_000 + "1" + "}" * 10_000), 400, "malformed-body"),
    Case("a JSON list without an end", text('{"a": ' + "[" * 1_000_000), 400, "malformed-body"),
    Case("JSON in Latin-1", text('{"image": "\u00fc"}'.encode("latin-1")), 400, "malformed-body"),
    *(
        Case(
            f"JSON in {encoding}",
            text(json.dumps({"image": TINY}).encode(encoding)),
            400,
            "malformed-body",
            "JSON",
        )
        for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-32-be")
    ),
    Case("JSON that is gzipped", text(gzip.compress(b"{}")), 400, "malformed-body", "JSON"),
    Case(
        "JSON that says so",
        {
            "data": gzip.compress(b"{}"),
            "headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        },
        400,
        "malformed-body",
        "Content-Encoding",
    ),
    Case(
        "a number of a million digits",
        text(f'{{"image": "{TINY}", "x": {"9" * 1_000_000}, "y": 1}}'),
        400,
        "malformed-body",
    ),
    Case("half a surrogate", text('{"image": "\\ud800"}'), 400, "malformed-body"),
    Case("no image in the JSON", text('{"x": 1, "y": 2}'), 400, "malformed-body", "'image'"),
    Case("null as an image", text('{"image": null}'), 400, "malformed-body"),
    Case("a number as an image", text('{"image": 5}'), 400, "malformed-body"),
    Case("image and image_path", as_json(PHOTO, image_path="a.jpg"), 400, "malformed-body"),
    Case("a path that is a number", text('{"image_path": 5}'), 400, "malformed-body"),
    *(
        Case(f"bad base64: {name}", text(json.dumps({"image": value})), 400, "malformed-body")
        for name, value in (
            ("other letters", "%%%%"),
            ("no padding", "QQ"),
            ("padding in the middle", "QQ==QQ=="),
            ("a data URL", f"data:image/png;base64,{TINY}"),
            ("spaces", f" {TINY} "),
            ("not ASCII", "\u00fc\u00fc\u00fc\u00fc"),
        )
    ),
]

# --- 404, 405

NOT_HERE = [
    Case("no such path", {}, 404, "not-found", path="/nowhere"),
    Case("no such model", raw(PHOTO), 404, "not-found", "'dogs'", "/predict/dogs"),
    Case("no such result", {}, 404, "not-found", path=f"/results/{'0' * 32}", method="GET"),
    *(
        Case(f"{method} of a prediction", {}, 405, "method-not-allowed", method=method)
        for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE", "BREW")
    ),
    Case("a post to what is only read", {}, 405, "method-not-allowed", path="/livez"),
    *(
        Case(f"image_path={path!r}", text(json.dumps({"image_path": path})), 404, "no-such-image")
        for path in ("a.jpg", "/etc/passwd", "../web/app.py", "", "\0", "a" * 5000)
    ),
]

# --- 413: too many pixels

TOO_LARGE = [
    Case("too many pixels", raw(png_header(60_000, 60_000)), 413, "image-too-large", "50000000"),
    Case("too many pixels in a form", form(png_header(10_000, 5_001)), 413, "image-too-large"),
    Case("too many pixels in JSON", as_json(png_header(1, 2**31 - 1)), 413, "image-too-large"),
    Case("a side that is too long", raw(png_header(65_536, 1)), 413, "image-too-large", "65535"),
]

# --- 415: none of the allowed formats, by content

UNSUPPORTED = [
    Case("text", raw(b"hello", "text/plain"), 415, "unsupported-image", "JPEG"),
    Case("text that says JPEG", raw(b"hello", "image/jpeg"), 415, "unsupported-image"),
    Case("text in a form", form(b"hello"), 415, "unsupported-image"),
    Case("text in base64", as_json(b"hello"), 415, "unsupported-image"),
    Case("a TIFF", raw(encode(Image.new("RGB", (9, 9)), "TIFF")), 415, "unsupported-image"),
    Case("an SVG", raw(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, "unsupported-image"),
    Case("a gzipped photo", raw(b"\x1f\x8b\x08" + PHOTO), 415, "unsupported-image"),
    *(
        Case(f"a file of {kind}", raw(encode(GREY, kind)), 415, "unsupported-image")
        for kind in ("PPM", "ICO", "TGA", "PCX", "ICNS", "JPEG2000", "AVIF")
    ),
    Case("a PDF", raw(b"%PDF-1.7\n"), 415, "unsupported-image"),
    Case("a program", raw(b"\x7fELF" + bytes(60)), 415, "unsupported-image"),
    Case("nothing but zeros", raw(bytes(1000)), 415, "unsupported-image"),
]

# --- 422: an image that cannot be decoded

UNDECODABLE = [
    Case("an empty body", text(b"", "image/jpeg"), 422, "undecodable-image", "empty"),
    Case("an empty file", form(b""), 422, "undecodable-image", "empty"),
    Case("an empty base64", text('{"image": ""}'), 422, "undecodable-image", "empty"),
    Case("half a JPEG", raw(half(PHOTO)), 422, "undecodable-image"),
    Case("half a JPEG in a form", form(half(PHOTO)), 422, "undecodable-image"),
    Case("half a JPEG in JSON", as_json(half(PHOTO)), 422, "undecodable-image"),
    Case("half a PNG", raw(half(PNG)), 422, "undecodable-image"),
    Case("the start of a JPEG", raw(PHOTO[:20]), 422, "undecodable-image"),
    Case("the start of a PNG", raw(PNG[:20]), 422, "undecodable-image"),
    Case("an image without area", raw(png_header(0, 0)), 422, "undecodable-image"),
    Case("an image without height", raw(png_header(9, 0)), 422, "undecodable-image"),
    Case("an image without pixels", raw(png_header(9, 9)), 422, "undecodable-image"),
    *(
        Case(f"half a file of {kind}", raw(half(encode(GREY, kind))), 422, "undecodable-image")
        for kind in ("WEBP", "GIF", "BMP")
    ),
]

# --- 422: a point or a parameter that is none

NO_NUMBERS = (
    "",
    " ",
    "a",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "1e9",
    "1e2",
    "0x10",
    "1_0",
    "1,5",
    "10px",
    "true",
    "٣",
    "9" * 400,
)
NO_JSON_NUMBERS: list[Any] = [True, False, [], [5], {}, 1e9, -1e9, 10**30, 1.7e308]
BESIDE_POINTS: dict[str, dict[str, Any]] = {"x, y": {"x": 5, "y": 5}, "x": {"x": 5}, "y": {"y": 5}}
NO_POINTS: list[Any] = [
    [],
    [5, 5],
    [[5]],
    [[5, 5, 5]],
    [[5, 5], 5],
    [["a", 5]],
    [[True, 5]],
    [[None, 5]],
    [{"x": 5, "y": 5}],
    {"x": 5, "y": 5},
    5,
    True,
    "a",
    "[[5, 5]",
    "[[NaN, 5]]",
    "[[5, 5]] x",
    "[" * 10_000,
    [[place, place] for place in range(17)],
]
BAD_POINTS = [
    *(
        Case(f"x={value!r:.20} in a {where}", make(PHOTO, x=value, y=5), 422, "bad-parameter", "x")
        for value in NO_NUMBERS
        for where, make in (("form", form), ("query", raw), ("JSON", as_json))
    ),
    *(
        Case(f"y={value!r:.20} in JSON", as_json(PHOTO, x=5, y=value), 422, "bad-parameter", "y")
        for value in NO_JSON_NUMBERS
    ),
    Case(
        "a number too large for a float",
        text(f'{{"image": "{TINY}", "x": 1e999, "y": 1}}'),
        422,
        "bad-parameter",
        "x",
    ),
    *(
        Case(
            f"{here} alone in a {where}", make(PHOTO, **{here: 5}), 422, "bad-parameter", "x and y"
        )
        for here in ("x", "y")
        for where, make in (("form", form), ("query", raw), ("JSON", as_json))
    ),
    *(
        Case(f"a point at {x}, {y}", make(PHOTO, x=x, y=y), 422, "point-outside", "451 x 300")
        for x, y in ((451, 5), (5, 300), (-1, 5), (5, -0.5), (999_999_999, 5), (451, 300))
        for make in (form, raw, as_json)
    ),
    *(
        Case(f"points={value!r:.30}", make(PHOTO, points=value), 422, "bad-parameter", "points")
        for value in NO_POINTS
        for make in (form, as_json)
    ),
    Case("17 points in the query", raw(PHOTO, points=[[1, 1]] * 17), 422, "bad-parameter", "17"),
    Case(
        "one point of several outside", form(PHOTO, points=[[5, 5], [451, 5]]), 422, "point-outside"
    ),
    *(
        Case(f"points and {name}", form(PHOTO, points=[[5, 5]], **extra), 422, "bad-parameter")
        for name, extra in BESIDE_POINTS.items()
    ),
]

BAD_LIMITS = [
    *(
        Case(
            f"{name}={value!r} in {where}", make(PHOTO, **{name: value}), 422, "bad-parameter", name
        )
        for name, values in (
            ("timeout_ms", ("", "a", "0", "-1", "1.5", "30001", "1e3", "nan")),
            ("top_k", ("", "a", "0", "-1", "1.5", "1001", "all")),
        )
        for value in values
        for where, make in (("a form", form), ("the query", raw), ("JSON", as_json))
    ),
    *(
        Case(
            f"{name}={value!r} in JSON", as_json(PHOTO, **{name: value}), 422, "bad-parameter", name
        )
        for name in ("timeout_ms", "top_k")
        for value in (True, [5], 0.5, 1e12)
    ),
    *(
        Case(
            f"a timeout of {value!r} in the header",
            form(PHOTO) | {"headers": {"X-Request-Timeout-Ms": value}},
            422,
            "bad-parameter",
            "timeout_ms",
        )
        for value in ("", "a", "0", "1000000000", "1.5")
    ),
]


@pytest.mark.parametrize(
    "case",
    [
        *BROKEN_BODIES,
        *NOT_HERE,
        *TOO_LARGE,
        *UNSUPPORTED,
        *UNDECODABLE,
        *BAD_POINTS,
        *BAD_LIMITS,
    ],
    ids=lambda case: case.name,
)
def test_bad_input_is_refused_by_its_row_of_the_table(case: Case, service: Service) -> None:
    response = requests.request(case.method, service.url + case.path, timeout=30, **case.body)
    assert case.says in problem(response, case.status, case.kind)["detail"]


def test_bad_input_is_refused_the_same_way_when_nobody_waits(service: Service) -> None:
    later = {"headers": {"Prefer": "respond-async"}}
    problem(post(service.url, form(PHOTO, x=451, y=5) | later), 422, "point-outside")
    problem(post(service.url, form(b"hello") | later), 415, "unsupported-image")


def test_what_is_refused_puts_no_stack_trace_into_the_log(service: Service) -> None:
    start = service.log.stat().st_size
    bodies = (
        form(PHOTO, x=451, y=5),
        form(half(PHOTO)),
        form(b"hello" * 1000),
        text(json.dumps({"image_path": "/etc/passwd"})),
        text(json.dumps({"image": TINY + "A" * 100_000})),
    )
    ids = [post(service.url, body).headers["X-Request-Id"] for body in bodies]
    log = service.log.read_bytes()[start:].decode()
    assert all(request_id in log for request_id in ids)
    assert not re.search("^Traceback", log, re.MULTILINE), log


def test_json_may_begin_with_a_byte_order_mark(service: Service) -> None:
    body = text(json.dumps({"image": TINY}).encode("utf-8-sig"))
    answer(post(service.url, body))


def test_a_field_that_is_not_known_is_ignored(service: Service) -> None:
    answer(post(service.url, form(PHOTO, colour="red")))
    answer(post(service.url, as_json(PHOTO, colour=[{"red": None}])))


def test_the_service_is_as_well_as_before(service: Service) -> None:
    """After all of the above: nothing is left in the queue, and a good photo is answered."""
    for model in requests.get(f"{service.url}/models", timeout=10).json()["models"]:
        assert model["queue"]["items"] == model["queue"]["leased_requests"] == 0
    assert Image.open(io.BytesIO(PHOTO)).size == (451, 300)
    answer(post(service.url, form(PHOTO, x=450, y=299)))
