"""The front of the service, by raw sockets: what two readers could understand differently, what
does not end, what does not come, and what is only odd. `bench/servers` tells the same to others.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from bench.servers.messages import CLOSE, REFUSED, connect, goes_on, head, receive, statuses, tell
from shared.settings import Settings
from tests.service import Service
from tests.web.bodies import answer, post, raw

pytestmark = pytest.mark.service

LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = Settings().max_body_bytes
IN_THE_BODY = {"chunk size 0x5", "chunk size -5", "chunk longer than said"}
OTHER_STATUSES = {
    "Transfer-Encoding: xchunked": 501,
    "header of 64 KB": 431,
    "10,000 headers": 431,
}
MORE_REFUSED = {
    "a line that is none": b"hello\r\n\r\n",
    "HTTP/2.0": b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.1 in small letters": b"GET /livez http/1.1\r\nHost: a\r\n\r\n",
    "a method of odd letters": b"GE(T /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header without a name": head(b": b", b"Content-Length: 0"),
    "chunked twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "chunked before another": head(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "the same Content-Length twice": head(b"Content-Length: 5", b"Content-Length: 5") + b"abcde",
    "two lengths in one": head(b"Content-Length: 5, 5") + b"abcde",
    "a length of other digits": head("Content-Length: \u0665".encode()) + b"abcde",
    "no length": head(b"Content-Length: ") + b"abcde",
}


@pytest.fixture(scope="module")
def hasty() -> Iterator[Service]:
    """A service that waits 1 s for a header and 2 s for a body."""
    times = {"HEADER_TIMEOUT_S": "1", "BODY_TIMEOUT_S": "2"}
    with Service(WORKERS="1", WEB_PROCESSES="1", **times) as service:
        yield service


@pytest.mark.parametrize("name", [*sorted(REFUSED.keys() - IN_THE_BODY), *MORE_REFUSED])
def test_what_is_not_plain_http_is_refused_before_the_application(
    name: str, service: Service
) -> None:
    message = {**REFUSED, **MORE_REFUSED}[name].replace(CLOSE, b"")
    data, closed = tell(service.port, message + LIVE)
    assert statuses(data) == [OTHER_STATUSES.get(name, 400)], data
    assert closed, "what comes after it is never taken for a request"
    assert b"urn:batchpoint" not in data
    assert b"X-Request-Id" not in data


@pytest.mark.parametrize("name", sorted(IN_THE_BODY))
def test_a_broken_chunk_is_a_broken_body_and_nothing_after_it_is_read(
    name: str, service: Service
) -> None:
    data, closed = tell(service.port, REFUSED[name].replace(CLOSE, b"") + LIVE)
    assert statuses(data) == [400], data
    assert b"malformed-body" in data
    assert closed


def test_three_requests_at_once_have_three_answers(service: Service) -> None:
    data, closed = tell(
        service.port, LIVE * 2 + LIVE.replace(b"\r\n\r\n", b"\r\n" + CLOSE + b"\r\n")
    )
    assert statuses(data) == [200, 200, 200]
    assert closed


def test_a_photo_byte_by_byte_and_another_right_behind_it(service: Service, cat: bytes) -> None:
    request = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(cat) + cat
    with connect(service.port) as client:
        for start in range(0, 300):
            client.sendall(request[start : start + 1])
        client.sendall(
            request[300:] + request + LIVE.replace(b"\r\n\r\n", b"\r\n" + CLOSE + b"\r\n")
        )
        data, closed = receive(client, 20)
    assert statuses(data) == [200, 200, 200]
    assert closed


def test_who_waits_for_100_gets_it_and_then_the_answer(service: Service, cat: bytes) -> None:
    with connect(service.port) as client:
        client.sendall(head(b"Content-Length: %d" % len(cat), b"Expect: 100-continue"))
        first, _ = receive(client, 1.0)
        client.sendall(cat)
        rest, _ = receive(client, 20)
    assert statuses(first + rest) == [100, 200]


@pytest.mark.parametrize("length", [BODY + 1, 3_000_000_000, 10**30])
def test_a_length_over_the_limit_is_413_before_the_body_comes(
    length: int, service: Service
) -> None:
    data, closed = tell(service.port, head(b"Content-Length: %d" % length).replace(CLOSE, b""))
    assert statuses(data) == [413]
    assert b"body-too-large" in data
    assert closed


def test_a_body_that_goes_on_after_the_413_is_not_read_to_its_end(service: Service) -> None:
    outcome = goes_on(service.port)
    assert outcome.good, outcome.text


def test_a_body_a_little_over_the_limit_finds_its_413(service: Service) -> None:
    data, _ = tell(service.port, head(b"Content-Length: %d" % (BODY + 1)) + bytes(BODY + 1))
    assert statuses(data) == [413]


def test_a_request_of_http_1_0_needs_no_host(service: Service) -> None:
    data, closed = tell(service.port, b"GET /livez HTTP/1.0\r\n\r\n")
    assert statuses(data) == [200]
    assert closed


@pytest.mark.parametrize(
    "target", [b"//evil/predict", b"/%2e%2e/%2e%2e/etc/passwd", b"/static/..%2f..%2fapp.py", b"*"]
)
def test_a_path_leads_nowhere_else(target: bytes, service: Service) -> None:
    data, _ = tell(service.port, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n")
    assert statuses(data)[0] in (400, 404)
    assert b"root:" not in data


# --- who sends slowly


def drip(client: socket.socket, seconds: float) -> tuple[bytes, float]:
    """Send a byte now and then until the server closes; return what came, and after how long."""
    started = time.monotonic()
    data, closed = b"", False
    while not closed and time.monotonic() - started < seconds:
        with contextlib.suppress(OSError):
            client.sendall(b"a")
        piece, closed = receive(client, 0.2)
        data += piece
    assert closed, f"it was not cut off within {seconds} s"
    return data, time.monotonic() - started


def test_a_header_that_drips_is_cut_off(hasty: Service) -> None:
    with connect(hasty.port) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nX-A: ")
        data, took_s = drip(client, 10)
    assert data == b""
    assert took_s < 1 + 2


def test_a_body_that_drips_is_408(hasty: Service) -> None:
    with connect(hasty.port) as client:
        client.sendall(head(b"Content-Length: 80000").replace(CLOSE, b"") + bytes(1000))
        data, took_s = drip(client, 15)
    assert statuses(data) == [408]
    assert b"slow-body" in data
    assert took_s < 2 + 2 + 2, "the time for the body, and then for its rest"


def test_a_body_that_drips_is_408_long_before_its_time_is_over(service: Service) -> None:
    with connect(service.port) as client:
        client.sendall(head(b"Content-Length: 80000").replace(CLOSE, b"") + bytes(1000))
        data, took_s = drip(client, 15)
    assert statuses(data) == [408]
    assert b"slow-body" in data
    assert 5 <= took_s < 10, "a body may pause for 5 s"


def test_a_client_that_reads_nothing_is_cut_off(service: Service) -> None:
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", service.port))
        client.sendall(asked * 150)  # 10 MB to read, of which the kernel takes four
        time.sleep(7)
        client.sendall(asked)  # a connection that nobody has any more is reset by it
        data, closed = receive(client, 2)
    assert closed
    assert data.startswith(b"HTTP/1.1 200 OK")


def test_who_sends_many_requests_at_once_keeps_nobody_waiting(hasty: Service) -> None:
    with connect(hasty.port) as greedy, connect(hasty.port) as modest:
        modest.sendall(LIVE)
        receive(modest, 0.3)  # both are on keep-alive now
        greedy.sendall(LIVE * 1000)
        begun = greedy.recv(1)
        modest.sendall(LIVE)
        assert statuses(modest.recv(65536)) == [200]
        at_once, _ = receive(greedy, 0.001)
        later, _ = receive(greedy, 5)
    assert len(statuses(begun + at_once)) < 1000 == len(statuses(begun + at_once + later))


def test_slow_senders_hold_nobody_up(hasty: Service, cat: bytes) -> None:
    with contextlib.ExitStack() as slow:
        for number in range(100):
            client = slow.enter_context(connect(hasty.port))
            started = b"Content-Length: 80000\r\n\r\n" + bytes(1000) if number % 2 else b"X-A: "
            client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\n" + started)
        for _ in range(5):
            answer(post(hasty.url, raw(cat)))


def test_a_client_that_says_nothing_is_cut_off(hasty: Service) -> None:
    with connect(hasty.port) as client:
        data, closed = receive(client, 4)
    assert (data, closed) == (b"", True)


def test_a_refusal_of_the_front_is_an_answer_that_can_be_read(service: Service) -> None:
    with connect(service.port) as client:
        client.sendall(REFUSED["Content-Length: 0_5"])
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 400
        assert int(response.headers["Content-Length"]) == len(response.read())
    with connect(service.port) as client:
        client.sendall(LIVE)
        response = http.client.HTTPResponse(client)
        response.begin()
        assert json.loads(response.read()) == {"live": True}
