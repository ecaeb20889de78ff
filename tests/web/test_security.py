"""Who may come in, and what nobody can make the service do: tried on the running service."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.service import ROOT, Service
from tests.web.bodies import problem
from tests.web.test_api_keys import make

pytestmark = pytest.mark.service

DOCUMENT: dict[str, Any] = json.loads((ROOT / "web" / "openapi.json").read_text("utf-8"))
OPEN = {"/", "/livez", "/readyz", "/openapi.json", "/static/{filename}"}
OPEN |= {"/v2/health/live", "/v2/health/ready"}
ORIGIN = "https://app.example.org"


class Guarded:
    """A service that asks for keys, the file of them, and some keys."""

    def __init__(self, service: Service, path: Path, media: Path) -> None:
        self.service = service
        self.url = service.url
        self.path = path
        self.media = media
        self.predict, self.admin = make(path, name="shop"), make(path, "admin", name="root")
        self.slow = make(path, name="slow", more="rate_per_s = 0.01\nrate_burst = 5\n")

    def ask(self, path: str, key: str = "", **asked: Any) -> requests.Response:
        headers = {**asked.pop("headers", {})} | ({"X-API-Key": key} if key else {})
        method = asked.pop("method", "POST")
        return requests.request(method, self.url + path, headers=headers, timeout=30, **asked)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A guarded service of two web processes and one worker."""
    folder = tmp_path_factory.mktemp("guarded")
    media, path = folder / "media", folder / "keys.toml"
    media.mkdir()
    make(path)
    service = Service(
        WORKERS="1",
        WEB_PROCESSES="2",
        API_KEYS_FILE=str(path),
        MEDIA_FOLDER=str(media),
        FEEDBACK_FOLDER=str(folder / "feedback"),
        CORS_ORIGINS=ORIGIN,
    )
    with service:
        guarded = Guarded(service, path, media)
        yield guarded
        log = service.log.read_text()
        for secret in (guarded.predict, guarded.admin, guarded.slow):
            assert secret.removeprefix("bp_") not in log


def operations() -> list[tuple[str, str]]:
    return [(path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item]


@pytest.mark.parametrize(("path", "method"), operations())
def test_nothing_but_the_page_and_the_probes_answers_without_a_key(
    path: str, method: str, guarded: Guarded
) -> None:
    answer = guarded.ask(path, method=method)
    if path in OPEN:
        assert answer.status_code not in (401, 403)
    else:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("path", "method"), operations())
def test_every_answer_says_that_its_type_is_meant(path: str, method: str, guarded: Guarded) -> None:
    for key in (guarded.predict, guarded.admin):
        assert guarded.ask(path, key, method=method).headers["X-Content-Type-Options"] == "nosniff"


def test_a_key_predicts_and_does_not_look_at_the_metrics(guarded: Guarded, cat: bytes) -> None:
    bearer = {"Authorization": f"Bearer {guarded.predict}"}
    assert guarded.ask("/predict", data=cat, headers=bearer).status_code == 200
    assert guarded.ask("/predict", guarded.predict, data=cat).status_code == 200
    problem(guarded.ask("/metrics", guarded.predict, method="GET"), 403, "scope")
    problem(guarded.ask("/predict", guarded.admin, data=cat), 403, "scope")
    metrics = guarded.ask("/metrics", guarded.admin, method="GET").text
    assert float(re.findall(r'kept_out_total{status="403"} (\S+)', metrics)[0]) >= 2


def test_a_new_key_holds_in_every_process_at_once(guarded: Guarded) -> None:
    new = make(guarded.path, name="new")
    answers = [guarded.ask("/models", new, method="GET").status_code for _ in range(20)]
    assert answers == [200] * 20


def test_who_has_no_key_is_told_before_its_body_is_there(guarded: Guarded) -> None:
    with socket.create_connection(("127.0.0.1", guarded.service.port), timeout=5) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_the_processes_count_a_key_together(guarded: Guarded) -> None:
    def ask(_: int) -> int:
        return guarded.ask("/models", guarded.slow, method="GET").status_code

    with ThreadPoolExecutor(10) as many:
        statuses = list(many.map(ask, range(30)))
    assert (statuses.count(200), statuses.count(429)) == (5, 25)
    refused = guarded.ask("/models", guarded.slow, method="GET")
    problem(refused, 429, "over-rate")
    assert 90 <= int(refused.headers["Retry-After"]) <= 100
    assert guarded.ask("/models", guarded.predict, method="GET").status_code == 200


def items_of(cat: bytes) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return how three items are asked for at each door: the path, and the rest."""
    photo = base64.b64encode(cat).decode()
    images = {"name": "image", "shape": [3], "datatype": "BYTES", "data": [photo] * 3}
    pixels = {"name": "themes", "shape": [3, 224, 224, 3], "datatype": "UINT8"}
    few = {"name": "colors", "shape": [3, 9, 9, 3], "datatype": "UINT8", "data": [0] * 729}
    tensors = [pixels | {"data": [0] * 3 * 224 * 224 * 3}, few]
    points = {"image": photo, "points": [[1, 1]] * 3}
    return {
        "points": ("/predict", {"json": points}),
        "later": ("/predict", {"json": points, "headers": {"Prefer": "respond-async"}}),
        "v1": ("/v1/models/tags:predict", {"json": {"instances": [{"b64": photo}] * 3}}),
        "v2": ("/v2/models/tags/infer", {"json": {"inputs": [images]}}),
        "tensors": ("/v2/models/tags/infer", {"json": {"inputs": tensors}}),
    }


@pytest.mark.parametrize("door", ["points", "later", "v1", "v2", "tensors"])
def test_items_are_counted_not_requests(door: str, guarded: Guarded, cat: bytes) -> None:
    path, asked = items_of(cat)[door]
    key = make(guarded.path, name=f"items-{door}", more="rate_per_s = 0.01\nrate_burst = 4\n")
    first, second, third = (guarded.ask(path, key, **asked) for _ in range(3))
    assert (first.ok, second.ok) == (True, True), first.text + second.text
    assert first.headers["RateLimit"].startswith('"key";r=1;')
    assert second.headers["RateLimit"].startswith('"key";r=0;'), "6 of 4: it was let in whole"
    assert third.status_code == 429
    assert 250 <= int(third.headers["Retry-After"]) <= 300, "until 3 are owed"


def test_while_redis_is_gone_the_rate_still_holds() -> None:
    settings = {"WORKERS": "1", "WEB_PROCESSES": "1", "RATE_PER_S": "1", "RATE_BURST": "5"}
    with Service(**settings) as service:
        service.client.shutdown(nosave=True)
        began = time.monotonic()
        # An answer that is kept keeps its connection, and the service's end waits for that.
        asked = range(30)
        statuses = [requests.get(f"{service.url}/nowhere", timeout=5).status_code for _ in asked]
        took_s = time.monotonic() - began
        assert set(statuses) == {404, 429}
        assert 5 <= statuses.count(404) <= 6 + took_s
        assert took_s < 10
        assert service.log.read_text().count("each process counts for itself") == 1


def test_a_refusal_is_what_the_document_says(guarded: Guarded) -> None:
    from tests.web.test_openapi import check

    described = DOCUMENT["paths"]["/models"]["get"]["responses"]
    for key in ("", "wrong", guarded.admin, guarded.slow, guarded.predict):
        answer = guarded.ask("/models", key, method="GET")
        check(described[str(answer.status_code)], answer)


def test_a_page_of_a_named_origin_can_ask(guarded: Guarded, cat: bytes) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert guarded.ask("/predict", method="OPTIONS", headers=headers).status_code == 204
    for key, status in ((guarded.predict, 200), ("wrong", 401)):
        answer = guarded.ask("/predict", key, data=cat, headers={"Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_an_image_is_read_by_its_path_and_nothing_beside_it(guarded: Guarded, cat: bytes) -> None:
    (guarded.media / "a.jpg").write_bytes(cat)
    (guarded.media.parent / "b.jpg").write_bytes(cat)
    (guarded.media / "link.jpg").symlink_to("../b.jpg")
    os.mkfifo(guarded.media / "fifo.jpg")
    asked = {"a.jpg": 200, "../b.jpg": 404, "link.jpg": 404, "fifo.jpg": 404}
    asked[str(guarded.media / "a.jpg")] = 404
    began = time.monotonic()
    for path, status in asked.items():
        answer = guarded.ask("/predict", guarded.predict, json={"image_path": path})
        assert answer.status_code == status, path
        assert "secret" not in answer.text
    assert time.monotonic() - began < 10


# --- nothing is fetched


def requests_with(url: str) -> Iterator[dict[str, Any]]:
    """Yield requests that name `url` wherever something could take it for an image's address."""
    encoded = base64.b64encode(url.encode()).decode()
    markup = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'
    entity = f'<!DOCTYPE a [<!ENTITY b SYSTEM "{url}">]><a>&b;</a>'
    for text in (url, markup, entity, f"url={url}", f"MVG\nimage over 0,0 0,0 '{url}'"):
        yield {"data": text.encode()}
        yield {"files": {"image": ("a.jpg", text)}}
    yield {"files": {"image": (url, b"x")}}
    for name in ("image", "image_path"):
        yield {"json": {name: url}}
        yield {"json": {name: encoded}}
    for name in ("image", "image_url", "url", "image_path", "callback", "webhook", "x", "points"):
        yield {"json": {name: url}}
        yield {"data": {name: url}}
        yield {"files": {name: (None, url)}}
        yield {"data": b"x", "params": {name: url}}
    yield {"json": {"instances": [url, {"b64": encoded}, {"url": url}]}}
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [url]}
    yield {"json": {"inputs": [tensor]}}
    for header in ("Referer", "Origin", "Location", "X-Forwarded-Host", "X-Original-URL", "Link"):
        yield {"data": b"x", "headers": {header: url}}


def test_no_request_makes_the_service_fetch_an_address(guarded: Guarded) -> None:
    doors = ["/predict", "/predict/tags", "/recognize", "/v1/models/tags:predict"]
    doors += ["/v2/models/tags/infer", "/feedback"]
    everything = make(guarded.path, "predict", "feedback", "admin", name="all")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        asked = 0
        for url in (f"http://127.0.0.1:{port}/a.jpg", f"ftp://localhost:{port}/a.jpg"):
            for request in requests_with(url):
                for door in doors:
                    answer = guarded.ask(door, everything, **request)
                    assert answer.status_code < 500, (door, request, answer.text)
                    asked += 1
        time.sleep(0.2)
        assert asked > 400
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(("127.0.0.1", port)):
            time.sleep(0.05)
            listener.accept()[0].close()  # it would have been seen


# --- the page


@pytest.mark.parametrize("path", ["/", "/static/index.html", "/static/favicon.svg"])
def test_the_page_may_load_its_own_files_and_nothing_else(path: str, guarded: Guarded) -> None:
    page = guarded.ask(path, method="GET")
    assert page.status_code == 200
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_the_page_has_no_script_and_no_style_in_it() -> None:
    html = (ROOT / "web" / "static" / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", html) == []
    assert re.findall(r'(?:src|href)="(?!static/)(\w+:|//)', html) == []
