"""A part of what `make fuzz` does: broken images end in a typed error or in an answer."""

from __future__ import annotations

import random

import pytest
import requests

from tests.fuzz.mutations import mutated
from tests.fuzz.run import fuzz
from tests.service import Service
from tests.web.bodies import answer, form, post, raw

BY_HTTP = 300  # images
ENDINGS = {
    413: {"image-too-large"},
    415: {"unsupported-image"},
    422: {"undecodable-image", "point-outside"},
}


def test_broken_images_do_no_harm() -> None:
    seen = fuzz(10_000, seed=1)
    assert seen.misses == []
    assert set(seen.endings) == {
        "prepared",
        "UnsupportedFormatError",
        "UndecodableImageError",
        "ImageTooLargeError",
        "PointOutsideError",
    }
    assert min(seen.endings.values()) > 20, "all of them were really tried"


def test_an_image_is_the_same_whenever_it_is_made() -> None:
    assert [mutated(number) for number in range(50)] == [mutated(number) for number in range(50)]
    assert mutated(1, seed=1) != mutated(1, seed=2)


def test_a_death_a_bug_and_a_long_time_are_seen() -> None:
    seen = fuzz(8, child="tests.fuzz.deadly")
    assert seen.endings == {"prepared": 6, "untyped": 1}
    assert [miss.split(":")[0] for miss in seen.misses] == [
        "image 3",
        "image 5",
        "image 6 took 1.50 s",
    ]


@pytest.mark.service
def test_broken_images_are_refused_by_the_service_and_leave_it_well(
    service: Service, photos: dict[str, bytes]
) -> None:
    before = {worker["pid"] for worker in service.workers()}
    statuses = set()
    with requests.Session() as session:
        for number in range(BY_HTTP):
            data, chance = mutated(number, seed=2), random.Random(number)
            point = {"x": chance.randrange(80), "y": chance.randrange(50)}
            body = chance.choice((form, raw))(data, **chance.choice((point, {})))
            response = session.post(f"{service.url}/predict", timeout=30, **body)
            statuses.add(response.status_code)
            if response.status_code != 200:
                kind = response.json()["type"].rpartition(":")[2]
                assert kind in ENDINGS[response.status_code], (number, response.text)
    assert statuses == {200, *ENDINGS}
    answer(post(service.url, form(photos["chelsea"])))
    assert {worker["pid"] for worker in service.workers()} == before
