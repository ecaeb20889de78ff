"""Paths and methods, those that are there and the others."""

from __future__ import annotations

import re

import pytest
import requests

from tests.service import Service
from tests.web.bodies import problem

pytestmark = pytest.mark.service


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("PUT", "/predict", "POST"),
        ("DELETE", "/predict/tags", "POST"),
        ("POST", "/results/0", "GET"),
        ("POST", "/", "GET"),
        ("POST", "/livez", "GET"),
        ("PUT", "/readyz", "GET"),
        ("PATCH", "/models", "GET"),
        ("DELETE", "/metrics", "GET"),
        ("POST", "/openapi.json", "GET"),
        ("BREW", "/predict", "POST"),
    ],
)
def test_another_method_is_405_with_those_that_are_allowed(
    method: str, path: str, allowed: str, service: Service
) -> None:
    response = requests.request(method, service.url + path, timeout=10)
    problem(response, 405, "method-not-allowed")
    assert allowed in re.split(", *", response.headers["Allow"])


@pytest.mark.parametrize(
    "path", ["/nowhere", "/predict/", "/predict/a/b", "/results", "/results/", "/livez/", "/%ff"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404(method: str, path: str, service: Service) -> None:
    problem(requests.request(method, service.url + path, timeout=10), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/static/page.js", 200),
        ("GET", "/static/none.js", 404),
        ("GET", "/livez", 200),
        ("HEAD", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/models", 200),
        ("GET", "/openapi.json", 200),
        ("OPTIONS", "/predict", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/predict", 422),
    ],
)
def test_every_answer_has_a_request_id_of_its_own(
    method: str, path: str, status: int, service: Service
) -> None:
    answers = [requests.request(method, service.url + path, timeout=10) for _ in range(2)]
    assert [response.status_code for response in answers] == [status, status]
    ids = {response.headers["X-Request-Id"] for response in answers}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in ids)


def test_a_header_that_no_body_follows_is_not_held_back(service: Service) -> None:
    with requests.Session() as session:
        took = [session.head(f"{service.url}/livez", timeout=10).elapsed for _ in range(20)]
    assert min(took).total_seconds() < 0.1, "the kernel holds the start of an answer for 0.2 s"
