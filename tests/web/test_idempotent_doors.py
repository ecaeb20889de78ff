"""`Idempotency-Key` at the doors of the other protocols."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from PIL import Image

from shared.queue import Queue
from shared.settings import Settings
from tests.photo_kinds import encode
from tests.service import Service

pytestmark = pytest.mark.service


def photo(shade: int) -> str:
    """Return a picture of one shade of grey, as base64."""
    return base64.b64encode(encode(Image.new("L", (28, 28), shade))).decode()


def tensor(shade: int) -> dict[str, Any]:
    pixels = [shade] * 28 * 28
    return {"name": "predictions", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": pixels}


DOORS: dict[str, Callable[[int], dict[str, Any]]] = {
    "/recognize": lambda shade: {"image": photo(shade)},
    "/v1/models/digits:predict": lambda shade: {"instances": [[shade] * 28 * 28]},
    "/v1/models/digits:classify": lambda shade: {"examples": [{"image": {"b64": photo(shade)}}]},
    "/v2/models/digits/infer": lambda shade: {"inputs": [tensor(shade)]},
}


def ask(service: Service, path: str, shade: int, key: str) -> requests.Response:
    headers = {"Idempotency-Key": key}
    return requests.post(service.url + path, json=DOORS[path](shade), headers=headers, timeout=30)


def run(service: Service) -> int:
    """Return how many items the workers of the model say that they have run."""
    workers = Queue(service.client, "digits:1", Settings()).census().workers
    return sum(worker["items"] for worker in workers)


def test_a_retry_is_the_same_request_and_runs_once(service: Service) -> None:
    service.wait_for_model("digits")
    before = run(service)
    for path in DOORS:
        key = uuid.uuid4().hex
        first, again = ask(service, path, 7, key), ask(service, path, 7, key)
        assert first.status_code == again.status_code == 200, first.text
        assert first.headers["X-Request-Id"] == again.headers["X-Request-Id"]
        one, other = first.json(), again.json()
        one.pop("timing_ms", None), other.pop("timing_ms", None)
        assert one == other
    until = time.monotonic() + 10
    while run(service) < before + len(DOORS):  # they say so twice a second
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(1)
    assert run(service) == before + len(DOORS)


@pytest.mark.parametrize("path", DOORS)
def test_another_body_under_the_same_key_is_409(path: str, service: Service) -> None:
    service.wait_for_model("digits")
    key = uuid.uuid4().hex
    assert ask(service, path, 7, key).status_code == 200
    refused = ask(service, path, 8, key)
    assert refused.status_code == 409
    assert "Idempotency-Key" in refused.text
    assert ask(service, path, 7, key).status_code == 200


@pytest.mark.parametrize("path", DOORS)
def test_a_bad_key_is_refused_at_each_door(path: str, service: Service) -> None:
    refused = ask(service, path, 7, "a" * 256)
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.text
