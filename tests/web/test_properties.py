"""What holds whatever is sent: coordinates and bodies that hypothesis makes up."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.images import Crop, Point, PointOutsideError, check_point, cut, open_image
from shared.settings import Settings
from tests.photo_kinds import cat, encode
from tests.service import Service
from tests.web.bodies import as_json, form, post, raw, text

WIDTH, HEIGHT = 67, 41
PHOTO = encode(cat().resize((WIDTH, HEIGHT)))
TYPES = ("application/json", "multipart/form-data; boundary=b", "image/png", "text/plain", "")

by_http = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,  # what CI says does not depend on chance
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
in_process = settings(by_http, max_examples=200)

inside = st.floats(-2, 70) | st.integers(-2, 70)
numbers = inside | st.floats() | st.integers() | st.integers(-(10**400), 10**400)
texts = (
    st.text(max_size=12)
    | numbers.map(str)
    | inside.map(lambda number: f" {number:.3f}\n")
    | st.from_regex(r"[+-]?[0-9]{0,10}\.?[0-9]{0,10}e?[0-9]?", fullmatch=True)
)
scalars = numbers | texts | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=8,
)


def coordinate(value: Any) -> float | None:
    """Return the number that a value stands for, None where it is none: the contract, in short."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e9 else None
    if not isinstance(value, str):
        return None
    whole, _, rest = value.strip().removeprefix("+").removeprefix("-").partition(".")
    if value.strip()[:2] in ("+-", "-+", "++", "--"):
        return None
    digits = whole + rest
    plain = digits.isascii() and digits.isdigit() and 1 <= len(whole) <= 9 and len(rest) <= 9
    return float(value) if plain else None


def point(x: Any, y: Any) -> Point | None:
    """Return the point that two values name on the photo, None where they name none."""
    across, down = coordinate(x), coordinate(y)
    if across is None or down is None:
        return None
    return Point(across, down) if 0 <= across < WIDTH and 0 <= down < HEIGHT else None


def check(response: requests.Response, expected: list[Point] | None) -> None:
    """Raise unless the answer is for the expected points: a typed 422 where there are none."""
    if expected is None:
        assert response.status_code == 422, response.text
        kind = response.json()["type"].rpartition(":")[2]
        assert kind in ("bad-parameter", "point-outside")
        return
    assert response.status_code == 200, response.text
    content = response.json()
    answered = content.get("points", [content])
    found = [(item["point"]["x"], item["point"]["y"]) for item in answered]
    assert found == [tuple(place) for place in expected]


CENTRE = [Point(WIDTH // 2, HEIGHT // 2)]


@pytest.mark.service
@by_http
@given(x=scalars | values, y=scalars | inside)
@example(x=None, y=None)
@example(x=-0.0, y=0)
@example(x=66.99999999999999, y=40.5)
@example(x=67, y=40)
def test_json_names_a_point_on_the_image_or_is_422(x: Any, y: Any, service: Service) -> None:
    content = as_json(PHOTO, x=x, y=y)["json"]
    response = post(service.url, text(json.dumps(content)))
    if not _allows_json(content):
        assert response.status_code == 400, response.text
    elif x is None and y is None:
        check(response, CENTRE)
    else:
        place = point(x, y)
        check(response, [place] if place else None)


@pytest.mark.service
@by_http
@given(x=texts, y=texts | inside.map(str), in_form=st.booleans())
def test_text_names_a_point_on_the_image_or_is_422(
    x: str, y: str, in_form: bool, service: Service
) -> None:
    place = point(x, y)
    response = post(service.url, (form if in_form else raw)(PHOTO, x=x, y=y))
    check(response, [place] if place else None)


@pytest.mark.service
@by_http
@given(points=st.lists(st.lists(inside, min_size=2, max_size=2), max_size=18) | values)
def test_points_are_a_list_of_places_on_the_image_or_422(points: Any, service: Service) -> None:
    content = as_json(PHOTO, points=points)["json"]
    response = post(service.url, text(json.dumps(content)))
    if not _allows_json(content):
        assert response.status_code == 400, response.text
        return
    if points is None:
        check(response, CENTRE)
        return
    if isinstance(points, str):
        try:
            points = json.loads(points)
        except ValueError:
            points = "none"
    places = None
    if isinstance(points, list) and 1 <= len(points) <= 16:
        pairs = [
            pair if isinstance(pair, list) and len(pair) == 2 else [None] * 2 for pair in points
        ]
        found = [point(*pair) for pair in pairs]
        places = None if None in found else [place for place in found if place]
    check(response, places)


def _allows_json(value: object) -> bool:
    """Return whether JSON can say `value`: no NaN, and not more digits than Python reads."""
    try:
        json.loads(json.dumps(value, allow_nan=False))
    except ValueError:
        return False
    return True


# --- bodies


@pytest.mark.service
@by_http
@given(body=st.binary(max_size=300), declared=st.sampled_from(TYPES), chunked=st.booleans())
def test_any_bytes_have_a_typed_refusal(
    body: bytes, declared: str, chunked: bool, service: Service
) -> None:
    sent = text(body, declared)
    if chunked:
        sent["data"] = iter([body[:100], body[100:]])
    response = post(service.url, sent)
    assert response.status_code in (400, 415, 422), response.text
    assert response.json()["type"].startswith("urn:batchpoint:problem:")


@pytest.mark.service
@by_http
@given(content=values | st.dictionaries(st.sampled_from(["image", "x", "points", "a"]), values))
def test_any_json_without_an_image_is_400(content: Any, service: Service) -> None:
    response = post(service.url, text(json.dumps(content)))
    assert response.status_code in (400, 415, 422), response.text
    assert response.json()["type"].startswith("urn:batchpoint:problem:")
    if not isinstance(content, dict) or not isinstance(content.get("image"), str):
        assert response.status_code == 400


@pytest.mark.service
@by_http
@given(data=st.data())
def test_a_form_that_is_cut_off_or_has_a_hole_is_never_taken_for_another(
    data: st.DataObject, service: Service
) -> None:
    prepared = requests.Request("POST", service.url, **form(PHOTO, x=3, y=4)).prepare()
    whole, declared = prepared.body, prepared.headers["Content-Type"]
    assert isinstance(whole, bytes)
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole)))
    response = post(service.url, text(whole[:start] + whole[end:], declared))
    if response.status_code == 200:  # the hole was in what does not count, or took a text away
        point = response.json()["point"]
        assert point in ({"x": 3, "y": 4}, {"x": WIDTH // 2, "y": HEIGHT // 2})
    else:
        assert response.status_code in (400, 413, 415, 422), response.text


# --- what is cut

sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))
places = st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))


@in_process
@given(size=sizes, place=places, seed=st.integers(0, 9))
def test_the_pixels_that_are_cut_are_those_around_the_point(
    size: tuple[int, int], place: tuple[float, float], seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    photo = open_image(encode(Image.fromarray(pixels)), Settings().max_pixels)
    x, y = place[0] * size[0], place[1] * size[1]
    part = cut(photo, Point(x, y), Crop(9, 9, pixels=9))
    for row in range(9):
        for column in range(9):
            across = _source(column, math.floor(x), size[0])
            down = _source(row, math.floor(y), size[1])
            assert (part[row, column] == pixels[down, across]).all()


def _source(index: int, centre: int, length: int) -> int:
    """Return which pixel of a row of `length` the pixel `index` of a crop of 9 shows."""
    if length < 9:  # all of it, its edges repeated
        return min(max(index - (9 - length) // 2, 0), length - 1)
    return min(max(centre - 4, 0), length - 9) + index


@in_process
@given(size=sizes, place=places)
def test_the_part_that_is_cut_is_four_fifths_around_the_point(
    size: tuple[int, int], place: tuple[float, float]
) -> None:
    image = cat().resize(size)
    photo = open_image(encode(image), Settings().max_pixels)
    x, y = place[0] * size[0], place[1] * size[1]
    box = [0, 0, 0, 0]
    for axis, centre in ((0, x), (1, y)):
        taken = max(1, round(size[axis] * 0.8))
        box[axis] = min(max(math.floor(centre) - taken // 2, 0), size[axis] - taken)
        box[axis + 2] = box[axis] + taken
    left, top, right, bottom = box
    expected = image.resize((64, 64), Image.Resampling.BICUBIC, (left, top, right, bottom))
    assert (cut(photo, Point(x, y), Crop(64, 64, fraction=0.8)) == np.asarray(expected)).all()


@in_process
@given(size=sizes, x=st.floats(-2, 61) | st.floats(), y=st.floats(-2, 61))
def test_a_point_is_on_the_image_or_refused(size: tuple[int, int], x: float, y: float) -> None:
    photo = open_image(encode(Image.new("L", size)), Settings().max_pixels)
    if 0 <= x < size[0] and 0 <= y < size[1]:
        check_point(photo, Point(x, y))
    else:
        with pytest.raises(PointOutsideError):
            check_point(photo, Point(x, y))
