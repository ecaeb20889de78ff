"""Bodies that are too large, or that end early."""

from __future__ import annotations

import http.client
import json
import socket

import pytest
import requests

from tests.service import Service
from tests.web.bodies import answer, as_json, form, post, problem, raw

pytestmark = pytest.mark.service

LIMIT = 16 * 1024 * 1024  # bytes


@pytest.mark.parametrize("declared", ["image/jpeg", "application/json"])
def test_a_body_over_the_limit_is_413(declared: str, service: Service, cat: bytes) -> None:
    large = cat + bytes(LIMIT)
    problem(post(service.url, raw(large, declared)), 413, "body-too-large")


def test_a_form_over_the_limit_is_413(service: Service, cat: bytes) -> None:
    problem(post(service.url, form(cat + bytes(LIMIT))), 413, "body-too-large")


def test_a_body_over_the_limit_that_tells_no_length_is_413(service: Service, cat: bytes) -> None:
    chunks = (part for part in [cat, *[bytes(1024 * 1024)] * 16])
    response = requests.post(f"{service.url}/predict", data=chunks, timeout=30)
    problem(response, 413, "body-too-large")


def test_a_body_of_just_the_limit_is_read(service: Service, cat: bytes) -> None:
    padded = cat + bytes(LIMIT - len(cat))
    answer(post(service.url, raw(padded)))


def test_a_form_of_too_many_parts_is_413(service: Service, cat: bytes) -> None:
    many = {f"field{number}": "1" for number in range(20)}
    problem(post(service.url, form(cat, **many)), 413, "body-too-large")


def test_a_form_whose_text_is_too_long_is_413(service: Service, cat: bytes) -> None:
    problem(post(service.url, form(cat, x="1" * 600_000, y="1")), 413, "body-too-large")


@pytest.mark.parametrize("name", ["points", "classifiers", "x", "top_k", "timeout_ms"])
def test_a_text_in_json_is_as_short_as_in_a_form(name: str, service: Service, cat: bytes) -> None:
    long = as_json(cat, **{name: "[" + "1," * 40_000})
    problem(post(service.url, long), 413, "body-too-large")


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 50000\r\n\r\n{photo}",
        b"Content-Length: 50000\r\nContent-Type: application/json\r\n\r\n{}",
        b"Content-Length: 50000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2000\r\n{photo}",
    ],
    ids=["a photo", "JSON", "a form", "a chunk"],
)
def test_a_body_that_ends_early_is_400(sent: bytes, service: Service, cat: bytes) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\n" + sent.replace(b"{photo}", cat[:9000])
        )
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        content = json.loads(response.read())
    assert response.status == 400
    assert content["type"] == "urn:batchpoint:problem:malformed-body"
