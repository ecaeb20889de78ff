"""The HTTP contract of `/predict`: bodies, points, labels and deadlines."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.service import Service
from tests.web.bodies import SAME, answer, apart, as_json, form, post, problem, raw, text

pytestmark = pytest.mark.service

ALL = 42  # labels


# --- the answer


def test_the_answer_has_all_that_the_contract_names(service: Service, cat: bytes) -> None:
    content = answer(post(service.url, form(cat, x=312, y=200)))
    assert list(content) == [
        "request_id",
        "success",
        "model",
        "version",
        "themes",
        "colors",
        "point",
        "timing_ms",
        "batch_size",
    ]
    assert (content["model"], content["version"]) == ("tags", "1")
    assert content["point"] == {"x": 312, "y": 200}
    assert content["batch_size"] == 1
    timing = content["timing_ms"]
    assert set(timing) == {"decode", "queue", "batch_wait", "inference", "total"}
    assert timing["inference"] > 0
    assert timing["decode"] > 0
    # Redis counts whole milliseconds, and in the queue's time is the way to the worker.
    assert timing["total"] + 2 > sum(timing.values()) - timing["total"]
    for name in ("themes", "colors"):
        likely = [entry["probability"] for entry in content[name]]
        assert len(likely) == 5
        assert likely == sorted(likely, reverse=True)
        assert all(set(entry) == {"label", "probability"} for entry in content[name])


def test_a_cat_is_a_cat(service: Service, cat: bytes) -> None:
    assert answer(post(service.url, form(cat)))["themes"][0]["label"] == "Cats"


@pytest.mark.parametrize("point", [{"x": 312, "y": 200}, {"x": 3.5, "y": 299.5}, {}])
def test_the_three_bodies_give_the_same_answer(
    point: dict[str, float], service: Service, cat: bytes
) -> None:
    answers = [
        answer(post(service.url, body(cat, top_k=ALL, **point))) for body in (form, as_json, raw)
    ]
    assert answers[0]["point"] == (point or {"x": 225, "y": 150})
    for other in answers[1:]:
        assert other["point"] == answers[0]["point"]
        assert apart(answers[0], other) < SAME


def test_the_model_can_be_named(service: Service, cat: bytes) -> None:
    named = answer(post(service.url, form(cat, top_k=ALL), "/predict/tags"))
    assert apart(named, answer(post(service.url, form(cat, top_k=ALL)))) < SAME


@pytest.mark.parametrize(
    "declared",
    [
        "image/jpeg",
        "image/png",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/json",
        "text/plain",
        "",
    ],
)
def test_a_photo_is_told_by_its_content(declared: str, service: Service, cat: bytes) -> None:
    content = answer(post(service.url, raw(cat, declared, x=10, y=20)))
    assert content["themes"][0]["label"] == "Cats"
    assert content["point"] == {"x": 10, "y": 20}


@pytest.mark.parametrize("declared", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("before", ["", "\r\n\t "])
def test_json_is_told_by_its_content(
    before: str, declared: str, service: Service, cat: bytes
) -> None:
    made = requests.Request("POST", service.url, **as_json(cat, x=10, y=20)).prepare().body
    assert isinstance(made, bytes)
    content = answer(post(service.url, text(before.encode() + made, declared)))
    assert content["point"] == {"x": 10, "y": 20}


def test_the_body_goes_before_the_query(service: Service, cat: bytes) -> None:
    for body in (form(cat, x=1, y=2), as_json(cat, x=1, y=2)):
        content = answer(post(service.url, body, "/predict?x=30&y=40&top_k=1"))
        assert content["point"] == {"x": 1, "y": 2}
        assert len(content["themes"]) == 1, "what the body leaves out, the query says"


def test_a_chunked_body_is_read(service: Service, cat: bytes) -> None:
    halves = (part for part in (cat[:5000], cat[5000:]))
    content = answer(requests.post(f"{service.url}/predict?x=1&y=2", data=halves, timeout=30))
    assert content["point"] == {"x": 1, "y": 2}


def test_a_photo_in_the_repository_is_answered_as_the_readme_says(service: Service) -> None:
    photo = Path("examples/photos/cat.jpg").read_bytes()
    assert answer(post(service.url, form(photo, x=220, y=120)))["themes"][0]["label"] == "Cats"


# --- points


@pytest.mark.parametrize("body", [form, as_json, raw])
def test_several_points_are_answered_in_the_order_asked_and_as_each_alone(
    body: Callable[..., dict[str, Any]], service: Service, photos: dict[str, bytes]
) -> None:
    photo = photos["coffee"]
    width, height = Image.open(io.BytesIO(photo)).size
    points: list[list[float]] = [
        [width - 1, height - 1],
        [0, 0],
        [width / 2 + 0.5, 10],
        [0, 0],
        [20, height - 5],
    ]
    content = answer(post(service.url, body(photo, points=points, top_k=ALL)))
    assert "point" not in content
    assert "themes" not in content
    assert content["batch_size"] >= len(points)
    asked = [{"x": x, "y": y} for x, y in points]
    assert [entry["point"] for entry in content["points"]] == asked
    for (x, y), entry in zip(points, content["points"], strict=True):
        assert set(entry) == {"point", "themes", "colors"}
        assert apart(entry, answer(post(service.url, form(photo, x=x, y=y, top_k=ALL)))) < SAME


def test_a_list_of_one_point_is_answered_by_a_list(service: Service, cat: bytes) -> None:
    content = answer(post(service.url, form(cat, points=[[7, 8]])))
    assert [entry["point"] for entry in content["points"]] == [{"x": 7, "y": 8}]


def test_sixteen_points_are_allowed(service: Service, cat: bytes) -> None:
    points = [[20 * place, 10 * place] for place in range(16)]
    content = answer(post(service.url, as_json(cat, points=points)))
    assert [[entry["point"]["x"], entry["point"]["y"]] for entry in content["points"]] == points


# --- how many labels


@pytest.mark.parametrize("body", [form, as_json, raw])
@pytest.mark.parametrize("top_k", [1, 3, 18, ALL, 1000])
def test_as_many_labels_come_as_asked_for(
    top_k: int, body: Callable[..., dict[str, Any]], service: Service, cat: bytes
) -> None:
    content = answer(post(service.url, body(cat, top_k=top_k)))
    whole = answer(post(service.url, form(cat, top_k=ALL)))
    for name, most in (("themes", 42), ("colors", 18)):
        labels = [entry["label"] for entry in content[name]]
        assert len(set(labels)) == len(labels) == min(top_k, most)
        assert labels[:3] == [entry["label"] for entry in whole[name]][: len(labels[:3])]


def test_all_labels_together_are_certain(service: Service, cat: bytes) -> None:
    content = answer(post(service.url, form(cat, top_k=ALL)))
    for name in ("themes", "colors"):
        assert sum(entry["probability"] for entry in content[name]) == pytest.approx(1, abs=1e-4)


# --- the deadline


@pytest.mark.parametrize("way", ["header", "query", "form", "JSON", "header before the form"])
def test_the_deadline_can_be_lowered(way: str, service: Service, cat: bytes) -> None:
    body, path = {
        "header": (form(cat) | {"headers": {"X-Request-Timeout-Ms": "300"}}, "/predict"),
        "query": (form(cat), "/predict?timeout_ms=300"),
        "form": (form(cat, timeout_ms=300), "/predict?timeout_ms=5000"),
        "JSON": (as_json(cat, timeout_ms=300), "/predict"),
        "header before the form": (
            form(cat, timeout_ms=5000) | {"headers": {"X-Request-Timeout-Ms": "300"}},
            "/predict",
        ),
    }[way]
    with service.workers_asleep():
        started = time.monotonic()
        response = post(service.url, body, path)
        took_s = time.monotonic() - started
    content = problem(response, 504, "deadline")
    assert 0.25 < took_s < 0.3 + 0.25
    assert content["result"] == f"/results/{content['request_id']}"
    assert response.headers["Location"] == content["result"]


@pytest.mark.parametrize("name", ["nothing", "Tags", "%2e%2e%2ftags", "tags/1", "tags/"])
def test_an_unknown_model_is_404(name: str, service: Service, cat: bytes) -> None:
    problem(post(service.url, form(cat), f"/predict/{name}"), 404, "not-found")
