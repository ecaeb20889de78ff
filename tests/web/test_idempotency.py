"""`Idempotency-Key`: a retry is the same request, whichever web process it comes to."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import requests

from shared.images import Point
from shared.processes import stop_all
from tests.service import Service, free_port
from tests.web.bodies import answer, form, post, problem, raw
from web.idempotency import identify
from web.prediction import Query
from web.uploads import ParameterError


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service with one worker and one web process; results are kept for 5 s."""
    with Service(WORKERS="1", WEB_PROCESSES="1", RESULT_TTL_MS="5000") as service:
        yield service


@pytest.fixture(scope="module")
def other(service: Service) -> Iterator[str]:
    """The URL of another web process of the same service."""
    port = free_port()
    process = service.start("run_web.py", "--processes", "1", PORT=str(port))
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while not _is_ready(url):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    yield url
    stop_all([process], patience_s=30)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False


def keyed(body: dict[str, Any], key: str, **headers: str) -> dict[str, Any]:
    """Return `body` with the header that makes it a request to be retried."""
    return body | {"headers": {**body.get("headers", {}), "Idempotency-Key": key, **headers}}


def new_key() -> str:
    """Return a key that was never used."""
    return uuid.uuid4().hex


def items_run(service: Service) -> int:
    """Return how many items the workers have run; they say so twice a second."""
    time.sleep(1)
    return sum(worker["items"] for worker in service.workers())


def wait_for_queue(service: Service, items: int) -> None:
    """Wait until so much is queued."""
    until = time.monotonic() + 1.5
    while service.queue().census().items < items:
        assert time.monotonic() < until, "it was not enqueued"
        time.sleep(0.01)


# --- what makes two requests the same

QUERY = Query([b"photo"], [[Point(1, 2)]], 5000, 5)
OTHERS = [
    Query([b"another"], [[Point(1, 2)]], 5000, 5),
    Query([b"photo"], [[Point(1, 3)]], 5000, 5),
    Query([b"photo"], [[]], 5000, 5),
    Query([b"photo"], [[Point(1, 2)]], 5000, 6),
    Query([b"photo"], [[Point(1, 2)]], 5000, 5, many=True),
    Query([b"photo"], [[Point(1, 2)]], 5000, 5, classifiers=["colors"]),
    *(Query([], [], 5000, 0, tensors=[np.full(shape, 7, np.uint8)]) for shape in [(1, 8), (2, 4)]),
    Query([], [], 5000, 0, tensors=[np.zeros((1, 8), np.uint8)]),
]


def test_the_deadline_is_no_part_of_what_is_asked() -> None:
    patient = Query([b"photo"], [[Point(1, 2)]], 9000, 5)
    assert identify("k", "", "tags:1", patient) == identify("k", "", "tags:1", QUERY)


@pytest.mark.parametrize("query", OTHERS)
def test_another_query_is_another_request_that_claims_the_same(query: Query) -> None:
    one, another = identify("k", "", "tags:1", QUERY), identify("k", "", "tags:1", query)
    assert one.request_id != another.request_id
    assert one.claim == another.claim


def test_no_two_of_them_are_the_same_request() -> None:
    ids = {identify("k", "", "tags:1", query).request_id for query in [QUERY, *OTHERS]}
    assert len(ids) == 1 + len(OTHERS)


@pytest.mark.parametrize("arguments", [("k2", "", "tags:1"), ("k", "me", "tags:1")])
def test_another_key_and_another_client_claim_something_else(
    arguments: tuple[str, str, str],
) -> None:
    one, another = identify("k", "", "tags:1", QUERY), identify(*arguments, QUERY)
    assert one.request_id != another.request_id
    assert one.claim != another.claim


def test_another_model_is_another_request() -> None:
    one, another = identify("k", "", "tags:1", QUERY), identify("k", "", "digits:1", QUERY)
    assert one.request_id != another.request_id


@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb", "a\nb", "a\x00", "\x7f", "\u00fc"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ParameterError, match="Idempotency-Key"):
        identify(key, "", "tags:1", QUERY)


def test_the_longest_key_is_taken() -> None:
    assert len(identify(" ~" * 127 + "a", "", "tags:1", QUERY).request_id) == 32


# --- the service


@pytest.mark.service
@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb", "\u00fc"])
def test_a_bad_key_is_422(key: str, service: Service, cat: bytes) -> None:
    refused = post(service.url, keyed(form(cat), key.encode("latin-1")))  # type: ignore[arg-type]
    content = problem(refused, 422, "bad-parameter")
    assert "Idempotency-Key" in content["detail"]


@pytest.mark.service
def test_a_retry_has_the_same_answer_and_does_not_run(
    service: Service, other: str, cat: bytes
) -> None:
    key, before = new_key(), items_run(service)
    first = answer(post(service.url, keyed(form(cat, x=5, y=6), key)))
    for url in (service.url, other):
        again = answer(post(url, keyed(raw(cat, x=5, y=6, timeout_ms=3000), key)))
        for timing in (again, first):
            timing.pop("timing_ms", None)
        assert again == first
    assert items_run(service) == before + 1


@pytest.mark.service
def test_a_retry_is_answered_at_once(service: Service, other: str, cat: bytes) -> None:
    key = new_key()
    answer(post(service.url, keyed(form(cat), key)))
    took_s = []
    for _ in range(5):
        started = time.monotonic()
        answer(post(other, keyed(form(cat), key)))
        took_s.append(time.monotonic() - started)
    assert min(took_s) < 0.25, "it did not wait for the sweep"


@pytest.mark.service
@pytest.mark.parametrize("where", ["the same process", "two processes"])
def test_retries_at_the_same_time_run_once(
    where: str, service: Service, other: str, cat: bytes
) -> None:
    urls = [service.url, other if where == "two processes" else service.url] * 4
    key, before = new_key(), items_run(service)

    def ask(url: str) -> tuple[requests.Response, float]:
        response = post(url, keyed(form(cat), key))
        return response, time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        with service.workers_asleep():
            asked = [pool.submit(ask, url) for url in urls]
            wait_for_queue(service, 1)
            time.sleep(0.5)
            assert service.queue().census().items == 1
        answered = [future.result() for future in asked]
    assert len({answer(response)["request_id"] for response, _ in answered}) == 1
    times = [at for _, at in answered]
    assert max(times) - min(times) < 0.4, "none waited for the sweep"
    assert items_run(service) == before + 1


@pytest.mark.service
@pytest.mark.parametrize(
    "changed", [{"x": 6, "y": 6}, {"x": 5, "y": 6, "top_k": 2}, {"points": [[5, 6]]}, {}]
)
def test_another_request_under_the_same_key_is_409(
    changed: dict[str, Any], service: Service, other: str, cat: bytes
) -> None:
    key = new_key()
    first = answer(post(service.url, keyed(form(cat, x=5, y=6), key)))
    for url in (service.url, other):
        problem(post(url, keyed(form(cat, **changed), key)), 409, "idempotency-conflict")
    later = keyed(form(cat, **changed), key, Prefer="respond-async")
    problem(post(service.url, later), 409, "idempotency-conflict")
    again = answer(post(service.url, keyed(form(cat, x=5, y=6), key)))
    assert again["request_id"] == first["request_id"]


@pytest.mark.service
def test_a_request_that_was_refused_claims_nothing(service: Service, cat: bytes) -> None:
    key = new_key()
    problem(post(service.url, keyed(form(cat, x=999, y=6), key)), 422, "point-outside")
    problem(post(service.url, keyed(form(b"hello"), key)), 415, "unsupported-image")
    answer(post(service.url, keyed(form(cat, x=9, y=6), key)))


@pytest.mark.service
def test_what_expired_before_it_ran_runs_when_it_is_tried_again(
    service: Service, other: str, cat: bytes
) -> None:
    for url in (service.url, other):
        key, before = new_key(), items_run(service)
        with service.workers_asleep():
            first = post(service.url, keyed(form(cat, timeout_ms=300), key))
            content = problem(first, 504, "deadline")
            time.sleep(0.1)
        time.sleep(0.3)  # the worker drops it
        assert requests.get(service.url + content["result"], timeout=5).status_code == 504
        started = time.monotonic()
        again = answer(post(url, keyed(form(cat), key)))
        assert time.monotonic() - started < 3, "it did not wait until the result was forgotten"
        assert again["request_id"] == content["request_id"]
        assert items_run(service) == before + 1


@pytest.mark.service
def test_a_retry_outlives_the_deadline_of_the_first(
    service: Service, other: str, cat: bytes
) -> None:
    for url in (*[service.url] * 5, other):  # in one process they race: several times
        key = new_key()
        with ThreadPoolExecutor(2) as pool, service.workers_asleep():
            hasty = pool.submit(post, service.url, keyed(form(cat, timeout_ms=500), key))
            wait_for_queue(service, 1)
            patient = pool.submit(post, url, keyed(form(cat, timeout_ms=5000), key))
            first = problem(hasty.result(), 504, "deadline")
        assert answer(patient.result())["request_id"] == first["request_id"]


@pytest.mark.service
def test_a_request_with_a_key_goes_on_when_its_client_leaves(
    service: Service, other: str, cat: bytes
) -> None:
    for url in (service.url, other):
        key, before = new_key(), items_run(service)
        head = (
            f"POST /predict HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: image/jpeg\r\nContent-Length: {len(cat)}\r\n\r\n"
        )
        with service.workers_asleep():
            with socket.create_connection(("127.0.0.1", service.port)) as client:
                client.sendall(head.encode() + cat)
                wait_for_queue(service, 1)
            time.sleep(0.4)
        assert items_run(service) == before + 1
        answer(post(url, keyed(form(cat), key)))
        assert items_run(service) == before + 1


@pytest.mark.service
def test_an_answer_for_later_and_one_now_are_of_the_same_request(
    service: Service, other: str, cat: bytes
) -> None:
    key, before = new_key(), items_run(service)
    with ThreadPoolExecutor(4) as pool, service.workers_asleep():
        later = post(service.url, keyed(form(cat), key, Prefer="respond-async"))
        waiting = [pool.submit(post, url, keyed(form(cat), key)) for url in (service.url, other)]
        time.sleep(0.2)
        still = post(service.url, keyed(form(cat), key, Prefer="respond-async"))
    assert later.status_code == still.status_code == 202
    assert later.headers["Location"] == still.headers["Location"]
    ids = {answer(future.result())["request_id"] for future in waiting}
    assert ids == {later.json()["request_id"]}
    assert items_run(service) == before + 1


@pytest.mark.service
def test_a_key_is_forgotten_in_time(service: Service) -> None:
    names = service.client.keys("*:claim:*")
    assert names
    ttls = [service.client.pttl(name) for name in names]
    assert all(0 < ttl <= 35_000 for ttl in ttls), "the longest deadline and 5 s"
