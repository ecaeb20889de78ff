"""Answers that are fetched later: `Prefer: respond-async` and `/results`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.service import Service
from tests.web.bodies import SAME, answer, apart, as_json, form, post, problem, raw

pytestmark = pytest.mark.service

ALL = 42  # labels


def fetch(url: str, seconds: float = 10) -> requests.Response:
    """Return what a result's place says once it is no longer 202."""
    until = time.monotonic() + seconds
    while True:
        response = requests.get(url, timeout=10)
        if response.status_code != 202 or time.monotonic() > until:
            return response
        assert response.json()["result"] in url
        time.sleep(0.02)


@pytest.mark.parametrize("body", [form, as_json, raw])
@pytest.mark.parametrize("prefer", ["respond-async", "wait=10, respond-async"])
def test_an_answer_can_be_fetched_later(
    prefer: str, body: Callable[..., dict[str, Any]], service: Service, cat: bytes
) -> None:
    asked = body(cat, x=5, y=6, top_k=ALL)
    asked["headers"] = {**asked.get("headers", {}), "Prefer": prefer}
    accepted = post(service.url, asked)
    assert accepted.status_code == 202
    assert accepted.headers["Preference-Applied"] == "respond-async"
    assert int(accepted.headers["Retry-After"]) >= 1
    content = accepted.json()
    where = f"/results/{accepted.headers['X-Request-Id']}"
    assert accepted.headers["Location"] == where
    assert content == {
        "request_id": accepted.headers["X-Request-Id"],
        "success": True,
        "result": where,
    }
    response = fetch(service.url + where)
    assert response.status_code == 200
    later = response.json()
    assert later["request_id"] == content["request_id"]
    assert later["point"] == {"x": 5, "y": 6}
    assert apart(later, answer(post(service.url, form(cat, x=5, y=6, top_k=ALL)))) < SAME
    assert fetch(service.url + where).json() == later, "it stays for a while"


def test_an_answer_that_is_fetched_twice_is_logged_and_counted_once(
    service: Service, cat: bytes
) -> None:
    def counted() -> float:
        text = requests.get(f"{service.url}/metrics", timeout=10).text
        found = re.search(r'^batchpoint_batch_items_count\{model="digits"\} (.*)$', text, re.M)
        return float(found[1]) if found else 0

    before = counted()
    asked = form(cat) | {"headers": {"Prefer": "respond-async"}}
    accepted = post(service.url, asked, "/predict/digits")
    where = service.url + accepted.headers["Location"]
    assert fetch(where).json() == fetch(where).json()
    until = time.monotonic() + 5
    while counted() == before:
        assert time.monotonic() < until
        time.sleep(0.02)
    request_id = accepted.headers["X-Request-Id"]
    lines = [line for line in service.log.read_text().splitlines() if request_id in line]
    said = [json.loads(line) for line in lines]
    assert [line["event"] for line in said] == ["prediction accepted", "prediction"]
    for line in said:
        assert (line["model"], line["version"], line["items"]) == ("digits", "1", 1)
    assert said[1]["timing_ms"]["inference"] > 0
    assert counted() == before + 1


def test_what_was_accepted_is_answered_even_where_redis_forgets_it(
    service: Service, cat: bytes
) -> None:
    asked = form(cat) | {"headers": {"Prefer": "respond-async"}}
    with service.workers_asleep():
        where = service.url + post(service.url, asked).headers["Location"]
        service.client.flushall()
    assert requests.get(where, timeout=10).status_code == 404, "nobody knows of it just now"
    until = time.monotonic() + 5
    while requests.get(where, timeout=10).status_code == 404:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert fetch(where).status_code == 200


def test_a_result_that_is_not_there_yet_is_202(service: Service, cat: bytes) -> None:
    with service.workers_asleep():
        accepted = post(service.url, form(cat) | {"headers": {"Prefer": "respond-async"}})
        where = service.url + accepted.headers["Location"]
        waiting = requests.get(where, timeout=10)
    assert waiting.status_code == 202
    assert waiting.headers["Location"] == accepted.headers["Location"]
    assert waiting.json() == accepted.json()
    assert fetch(where).status_code == 200


@pytest.mark.parametrize("name", ["nothing", "0" * 32, "a b", "%00", "{tags}", "ü", "*"])
def test_an_unknown_result_is_404(name: str, service: Service) -> None:
    problem(requests.get(f"{service.url}/results/{name}", timeout=10), 404, "not-found")
