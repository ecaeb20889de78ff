"""The web process while it refuses: what still passes, what does not, and who has to wait."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import gevent.event
import gevent.socket
import pytest
from gevent.pool import Pool

from bench.servers.messages import REFUSED, statuses, tell
from shared.processes import stop_all
from shared.settings import Settings
from tests.service import free_port
from web.gunicorn_worker import DrainingServer
from web.server import Server

Refusing = tuple[int, subprocess.Popen[bytes]]

PHOTO = bytes(70_000)
PLACES = 4


@pytest.fixture(scope="module")
def refusing() -> Iterator[Refusing]:
    """The port and the process of a server that refuses; it holds `PLACES` connections."""
    port = free_port()
    argv = [sys.executable, "-W", "error", "-m", "tests.web.refusing", str(port), str(PLACES)]
    process = subprocess.Popen(argv)  # as an error: gevent warns of what it comes too late to patch
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            ask(port, "GET", "/livez")
            break
        except OSError:
            time.sleep(0.1)
    yield port, process
    stop_all([process], patience_s=20)


def ask(port: int, method: str, path: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_refusal_says_why_and_leaves_the_connection_as_it_was(refusing: Refusing) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", refusing[0], timeout=10)
    for _ in range(3):
        connection.request("POST", "/predict?x=1&y=2", PHOTO)
        response = connection.getresponse()
        problem = json.loads(response.read())
        assert response.status == problem["status"] == 503
        assert response.headers["Retry-After"] == "60"
        assert response.headers["X-Request-Id"] == problem["request_id"]
        connection.request("GET", "/livez")
        response = connection.getresponse()
        assert response.read() == b"live"
        assert response.status == 200
    connection.close()


def test_requests_that_come_at_once_are_answered_in_their_order(refusing: Refusing) -> None:
    live = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    last = live.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    missing = live.replace(b"/livez", b"/missing")
    assert statuses(tell(refusing[0], live + missing + last)[0]) == [200, 404, 200]


# Chunks are read by an application, and here is none.
@pytest.mark.parametrize("name", [name for name in REFUSED if not name.startswith("chunk ")])
def test_broken_http_is_refused_as_such_and_not_as_one_too_many(
    name: str, refusing: Refusing
) -> None:
    codes = statuses(tell(refusing[0], REFUSED[name])[0])
    assert codes
    assert codes[0] in (400, 431, 501)


def test_those_who_are_served_do_not_keep_the_others_out() -> None:
    server = gevent.socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    server.setblocking(False)
    turns: list[int] = []
    served = 0

    def handle(client: object, address: object) -> None:
        nonlocal served
        served += 1

    def count_turns() -> None:
        while served < 64:
            turns.append(served)
            gevent.sleep(0)

    clients = [socket.create_connection(server.getsockname(), 5) for _ in range(64)]
    draining = DrainingServer(server, handle=handle, spawn=Pool(100))
    draining.start()
    gevent.spawn(count_turns).join(timeout=5)
    draining.close()
    assert served == 64
    assert len(set(turns)) <= 64 / 8
    for client in clients:
        client.close()


def test_more_clients_than_places_are_all_answered_in_turn(refusing: Refusing) -> None:
    answered = [0] * 4 * PLACES
    until = time.monotonic() + 3

    def keep_asking(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", refusing[0], timeout=10)
        with contextlib.closing(connection):
            while time.monotonic() < until:
                if number % 2:  # half of them are refused, the others served
                    connection.request("POST", "/predict", PHOTO)
                else:
                    connection.request("GET", "/livez")
                connection.getresponse().read()
                answered[number] += 1

    threads = [threading.Thread(target=keep_asking, args=[n]) for n in range(len(answered))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(answered) >= 3


def test_at_sigterm_a_connection_that_is_refused_again_and_again_ends(refusing: Refusing) -> None:
    port, process = refusing
    ended = 0.0

    def keep_asking() -> None:
        nonlocal ended
        request = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nno"
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            answer = b""
            while b"Connection: close" not in answer:
                connection.sendall(request)
                answer = connection.recv(65536)
                time.sleep(0.05)
        ended = time.monotonic()

    thread = threading.Thread(target=keep_asking)
    thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    process.terminate()
    thread.join(20)
    assert process.wait(20) == 0
    assert 0 < ended - began < 5


def test_who_the_kernel_has_let_in_is_taken_at_the_end_as_far_as_there_is_room() -> None:
    taken: list[object] = []
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    clients = [socket.create_connection(listener.getsockname(), 5) for _ in range(3)]
    held = gevent.event.Event()

    def handle(client: object, address: object) -> None:
        taken.append(client)
        held.wait()

    server = DrainingServer(listener, handle=handle, spawn=Pool(2))
    server.init_socket()
    server.close()
    server.close()  # as gunicorn does where some are still served when their time is over
    gevent.sleep(0)
    assert len(taken) == 2
    held.set()
    for client in clients:
        client.close()


def test_a_process_without_a_file_left_still_ends() -> None:
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    client = socket.create_connection(listener.getsockname(), 5)
    server = DrainingServer(listener, handle=lambda *_: None, spawn=Pool(2))
    server.init_socket()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            server.do_read()
        server.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.closed
    client.close()


@pytest.mark.parametrize(
    ("soft", "hard", "room"),
    [(64, 100_000, 4096), (64, 1024, 1024 - 128), (50_000, 100_000, 4096)],
)
def test_there_is_room_for_as_many_as_the_limit_of_files_allows(
    soft: int, hard: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr("resource.getrlimit", lambda _: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda _, limit: limits.append(limit))
    server = Server(Settings(), 1, lambda: lambda *_: ())
    assert server.cfg.worker_connections == room
    assert room < limits[-1][0] <= hard
