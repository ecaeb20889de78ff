"""The Python client against a server that does what it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from urllib3.util import connection

from client import Client, Label, RefusedError, UnavailableError

ENTRY = {"label": "Cats", "probability": 0.9}
ITEM = {"themes": [ENTRY], "colors": [ENTRY | {"label": "red"}], "point": {"x": 1, "y": 2}}
ABOUT = {
    "request_id": "a",
    "success": True,
    "model": "tags",
    "version": "1",
    "timing_ms": {"total": 3.5},
    "batch_size": 2,
}
PROBLEM = {"title": "No", "detail": "not now", "request_id": "b"}

Reply = tuple[int, dict[str, str], Any]
GOOD: Reply = (200, {}, {**ABOUT, **ITEM})


class Server(ThreadingHTTPServer):
    """Answers by a list, the last of which stands for all that follow."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[Reply] = [GOOD]
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body))
        time.sleep(self.server.delay_s)
        replies = self.server.replies
        status, headers, content = replies.pop(0) if len(replies) > 1 else replies[0]
        text = json.dumps(content).encode() if content is not None else b"<html>"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked has left
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, timeout_s=5) as client:
        yield client


def test_an_answer_is_typed(client: Client, server: Server) -> None:
    answer = client.predict(b"photo", (1, 2.5))
    assert answer["themes"] == (Label("Cats", 0.9),)
    assert answer.items[0].point == (1, 2)
    assert set(answer.items[0].labels) == {"themes", "colors"}
    assert (answer.request_id, answer.model, answer.version) == ("a", "tags", "1")
    assert (answer.timing_ms, answer.batch_size) == ({"total": 3.5}, 2)
    ((path, headers, body),) = server.seen
    assert path == "/predict"
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert b"photo" in body
    assert b"2.5" in body


def test_several_points_have_an_item_each(client: Client, server: Server) -> None:
    server.replies = [(200, {}, {**ABOUT, "points": [ITEM, ITEM]})]
    answer = client.predict(b"photo", points=[(1, 2), (3, 4)], model="tags")
    assert len(answer.items) == 2
    assert server.seen[0][0] == "/predict/tags"


def test_a_photo_may_be_named(client: Client, server: Server, tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"its bytes")
    client.predict(photo)
    client.predict(str(photo))
    assert all(b"its bytes" in body for _, _, body in server.seen)


def test_a_connection_is_used_again(client: Client, server: Server) -> None:
    for _ in range(5):
        client.predict(b"photo")
    assert server.connections == 1


def test_a_retry_waits_as_told_and_is_the_same_request(client: Client, server: Server) -> None:
    server.replies = [(503, {"Retry-After": "1"}, PROBLEM), (429, {}, PROBLEM), GOOD]
    started = time.monotonic()
    assert client.predict(b"photo")["themes"][0].label == "Cats"
    assert 1 <= time.monotonic() - started < 3
    sent = [headers for _, headers, _ in server.seen]
    assert len(sent) == 3
    assert len({headers["Idempotency-Key"] for headers in sent}) == 1
    deadlines = [int(headers["X-Request-Timeout-Ms"]) for headers in sent]
    assert deadlines[0] <= 5000
    assert deadlines[1] <= deadlines[0] - 900, "it is nine tenths of the time that is left"
    client.predict(b"photo")
    assert server.seen[-1][1]["Idempotency-Key"] != sent[0]["Idempotency-Key"]


def test_it_does_not_wait_longer_than_its_time(client: Client, server: Server) -> None:
    server.replies = [(503, {"Retry-After": "60"}, PROBLEM)]
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="No: not now") as caught:
        client.predict(b"photo")
    assert time.monotonic() - started < 1, "60 s are more than there is, so it does not wait"
    assert (caught.value.status, caught.value.request_id) == (503, "b")


def test_a_server_that_hangs_is_left_in_time(client: Client, server: Server) -> None:
    server.delay_s = 3
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        client.predict(b"photo", timeout_s=0.5)
    assert time.monotonic() - started < 1


def drip(listener: socket.socket, at_once: bytes, drops: bytes) -> None:
    """Answer everybody with `at_once`, then `drops` again and again, each a moment later."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(at_once)
                while True:
                    time.sleep(0.05)
                    connection.sendall(drops)


@pytest.mark.parametrize(
    ("at_once", "drops"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["status", "headers", "body", "chunks"],
)
def test_a_server_that_drips_is_left_in_time(at_once: bytes, drops: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener, at_once, drops], daemon=True).start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            started = time.monotonic()
            with pytest.raises(UnavailableError):
                client.predict(b"photo", timeout_s=0.5)
            assert 0.4 < time.monotonic() - started < 1
        listener.shutdown(socket.SHUT_RDWR)


def test_the_service_s_deadline_leaves_time_for_its_answer(client: Client, server: Server) -> None:
    client.predict(b"photo", timeout_s=1)
    client.predict(b"photo", timeout_s=60)
    first, second = (int(headers["X-Request-Timeout-Ms"]) for _, headers, _ in server.seen)
    assert 700 < first <= 900
    assert second == 30_000, "the longest that the service takes"


def test_the_time_to_connect_is_no_more_there_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    real = connection.create_connection

    def slow(*args: Any, **kwargs: Any) -> socket.socket:
        time.sleep(1.5)
        return real(*args, **kwargs)

    monkeypatch.setattr(connection, "create_connection", slow)
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,  # it reads nothing
        Client(f"http://127.0.0.1:{deaf.getsockname()[1]}") as client,
    ):
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            client.predict(b"photo" * 4_000_000, timeout_s=2)
        assert time.monotonic() - started < 3


def test_a_date_to_come_back_at_is_kept(client: Client, server: Server) -> None:
    date = formatdate(time.time() + 2, usegmt=True)  # in whole seconds: 1 to 2 from now
    server.replies = [(503, {"Retry-After": date}, PROBLEM), GOOD]
    started = time.monotonic()
    client.predict(b"photo")
    assert 0.9 < time.monotonic() - started < 3


@pytest.mark.parametrize("told", ["soon", "-1", "Thu, 01 Jan 1970 00:00:00 GMT", "²"])
def test_what_says_nothing_of_when_to_come_back_is_not_waited_for(
    told: str, client: Client, server: Server
) -> None:
    server.replies = [(503, {"Retry-After": told.encode().decode("latin-1")}, PROBLEM), GOOD]
    assert client.predict(b"photo", timeout_s=1)["themes"]


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_the_default_stands_in_where_the_service_fails(
    status: int, client: Client, server: Server
) -> None:
    server.replies = [(status, {}, None)]
    assert client.predict(b"photo", default=None, timeout_s=0.5) is None
    assert len(server.seen) > 1


def test_a_500_is_not_asked_again(client: Client, server: Server) -> None:
    server.replies = [(500, {}, PROBLEM)]
    assert client.predict(b"photo", default="none") == "none"
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 415, 422, 501])
def test_a_refusal_is_raised_at_once_and_has_no_default(
    status: int, client: Client, server: Server
) -> None:
    server.replies = [(status, {}, PROBLEM)]
    with pytest.raises(RefusedError, match="not now"):
        client.predict(b"photo", default=None)
    assert len(server.seen) == 1


@pytest.mark.parametrize("content", [None, [], {}, {"success": True}, {**ABOUT, "points": 3}])
def test_an_answer_that_is_none_is_a_failure(content: Any, client: Client, server: Server) -> None:
    server.replies = [(200, {}, content)]
    with pytest.raises(UnavailableError):
        client.predict(b"photo")
    assert client.predict(b"photo", default=7) == 7


def test_nobody_at_the_address_is_a_failure() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as probe:
        port = probe.server_address[1]
    with Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            client.predict(b"photo", timeout_s=0.5)
        assert client.predict(b"photo", timeout_s=0.5, default=[]) == []


def test_a_key_and_a_choice_are_sent(server: Server) -> None:
    with Client(server.url, key="secret") as client:
        answer = client.predict(b"photo")
        client.choose(answer, {"themes": "Dogs", "colors": None}, place=0)
    assert all(headers["Authorization"] == "Bearer secret" for _, headers, _ in server.seen)
    path, _, body = server.seen[-1]
    assert path == "/feedback"
    chosen = {"themes": "Dogs", "colors": None}
    assert json.loads(body) == {"request_id": "a", "place": 0, "chosen": chosen}
