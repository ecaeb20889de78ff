"""What kinds of photos are answered, and which way up."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.photo_kinds import KINDS, TO_STORED, encode, stored
from tests.service import Service
from tests.web.bodies import SAME, answer, apart, form, post, raw

pytestmark = pytest.mark.service

ALL = 42  # labels


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_image_is_seen_as_the_rgb_that_it_shows(
    name: str, service: Service, cat: bytes
) -> None:
    data, shown = KINDS[name](Image.open(io.BytesIO(cat)))
    seen = answer(post(service.url, raw(data, x=40, y=250, top_k=ALL)))
    plain = answer(post(service.url, raw(encode(shown), x=40, y=250, top_k=ALL)))
    # Alpha is rounded here and there, and the picture of several is a lossy one.
    assert apart(seen, plain) < 0.05
    assert seen["themes"][0]["label"] == plain["themes"][0]["label"]
    assert seen["colors"][0]["label"] == plain["colors"][0]["label"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", TO_STORED)
def test_the_point_is_one_of_the_upright_image(
    orientation: int, kind: str, service: Service, cat: bytes
) -> None:
    upright = Image.open(io.BytesIO(cat)).convert("RGB")
    for x, y in ((60, 30), (440, 280)):  # far from the middle; 440 is outside where lying
        expected = answer(post(service.url, raw(encode(upright), x=x, y=y, top_k=ALL)))
        data = stored(upright, orientation, kind)
        turned = answer(post(service.url, raw(data, x=x, y=y, top_k=ALL)))
        assert turned["point"] == {"x": x, "y": y}
        # JPEG stores other pixels for each orientation.
        assert apart(expected, turned) < (SAME if kind == "PNG" else 0.1)


@pytest.mark.parametrize("orientation", TO_STORED)
def test_each_corner_keeps_its_colour_whatever_the_orientation(
    orientation: int, service: Service
) -> None:
    upright = Image.new("RGB", (60, 40), "red")
    upright.paste("blue", (30, 0, 60, 20))
    upright.paste("green", (0, 20, 30, 40))
    upright.paste("white", (30, 20, 60, 40))
    points = [[5, 5], [55, 5], [5, 35], [55, 35]]
    content = answer(post(service.url, raw(stored(upright, orientation), points=points)))
    seen = [entry["colors"][0]["label"] for entry in content["points"]]
    assert seen == ["red", "blue", "green", "white"]


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (1, 900), (3000, 2)])
def test_an_image_smaller_than_the_crops_is_answered(
    size: tuple[int, int], service: Service
) -> None:
    last = {"x": size[0] - 1, "y": size[1] - 1}
    content = answer(post(service.url, raw(encode(Image.new("RGB", size, "red")), **last)))
    assert content["point"] == last
    assert content["colors"][0]["label"] == "red"


@pytest.mark.parametrize("x", [0, 450, 450.9])
@pytest.mark.parametrize("y", [0, 299, 299.9])
def test_a_point_on_the_border_is_answered(
    x: float, y: float, service: Service, cat: bytes
) -> None:
    assert answer(post(service.url, form(cat, x=x, y=y)))["point"] == {"x": x, "y": y}
