"""A connection that refuses by itself, over real sockets and in gevent's loop."""

from __future__ import annotations

import fcntl
import sys
import termios
from collections.abc import Iterator

import gevent
import gevent.socket
import pytest

from web import connection as module
from web.admission import Refusal
from web.connection import Connection

HEAD = b"POST /predict?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
PHOTO = bytes(70_000)
REQUEST = HEAD % len(PHOTO) + b"\r\n" + PHOTO
MOST_BYTES = 100_000


class Ends:
    """A client's end and the server's end of one connection."""

    def __init__(self) -> None:
        with gevent.socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.client = gevent.socket.create_connection(listener.getsockname(), timeout=5)
            served, _ = listener.accept()
        self.server = Connection(served.family, served.type, served.proto, served.detach())
        self.asked: list[tuple[str, str, str]] = []
        self.most = 1000  # so many are refused, then no more

    def refuse(self, stays: bool = True, idle_s: float = 5) -> bool:
        """Let the server's end refuse; return whether there is a request for gunicorn."""
        return self.server.refuse(self._refusal, lambda: stays, idle_s, MOST_BYTES)

    def _refusal(self, path: str, query: str, timeout_ms: str) -> Refusal | None:
        self.asked.append((path, query, timeout_ms))
        if len(self.asked) > self.most:
            return None
        return "503 Service Unavailable", {"Content-Length": "2"}, b"no"

    def answer(self) -> bytes:
        """Return the next answer to the client."""
        data = b""
        while not data.endswith(b"\r\n\r\nno"):
            piece = self.client.recv(65536)
            assert piece
            data += piece
        return data


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.client.close()
    ends.server.close()


def test_one_request_after_the_other_is_refused_on_one_connection(ends: Ends) -> None:
    refusing = gevent.spawn(ends.refuse)
    for _ in range(3):
        ends.client.sendall(REQUEST)
        answer = ends.answer()
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nConnection: keep-alive\r\n" in answer
    ends.client.close()
    assert refusing.get(timeout=5) is False
    assert ends.asked == [("/predict", "x=1", "")] * 3


def test_who_is_let_in_after_a_refusal_reaches_gunicorn_whole(ends: Ends) -> None:
    ends.most = 1
    sending = gevent.spawn(ends.client.sendall, REQUEST + REQUEST)
    assert ends.refuse() is True
    read = b""
    while len(read) < len(REQUEST):
        read += ends.server.recv(65536)
    assert read == REQUEST
    sending.join()


@pytest.mark.parametrize(
    "sent",
    [
        REQUEST,
        b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD % (MOST_BYTES + 1) + b"\r\n",
        HEAD % 1 + b"\r\na" + HEAD % 1 + b"\r\na",
    ],
    ids=["let in", "another method", "too long", "two at once"],
)
def test_what_is_not_refused_reaches_gunicorn_unchanged(sent: bytes, ends: Ends) -> None:
    ends.most = 0
    sending = gevent.spawn(ends.client.sendall, sent)
    assert ends.refuse() is True
    read = b""
    while len(read) < len(sent):
        read += ends.server.recv(1000)
    assert read == sent
    sending.join()


@pytest.mark.parametrize(
    "sent",
    [HEAD % (MOST_BYTES + 1) + b"\r\n", HEAD % 1 + b"\r\na" + HEAD % 1 + b"\r\na"],
    ids=["too long", "two at once"],
)
def test_whose_end_is_not_here_is_not_refused_here(sent: bytes, ends: Ends) -> None:
    ends.client.sendall(sent)
    assert ends.refuse() is True
    assert ends.asked == []


def test_the_answer_does_not_wait_for_the_body(ends: Ends) -> None:
    refusing = gevent.spawn(ends.refuse)
    ends.client.sendall(REQUEST[:1000])
    ends.answer()
    ends.client.sendall(REQUEST[1000:])
    ends.client.sendall(REQUEST)  # the connection is as good as before
    ends.answer()
    ends.client.close()
    assert refusing.get(timeout=5) is False


def test_what_has_come_is_gone_before_the_answer(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread: list[int] = []

    def sendall(connection: Connection, data: bytes) -> None:
        count = fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4))
        unread.append(int.from_bytes(count, sys.byteorder))
        ends.client.close()

    monkeypatch.setattr(Connection, "sendall", sendall)
    ends.client.sendall(HEAD % 50_000 + b"\r\n" + bytes(50_000))
    assert ends.refuse() is False
    assert unread == [0]


def test_a_body_that_does_not_come_ends_the_connection(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.2)
    ends.client.sendall(REQUEST[:1000])
    with gevent.Timeout(2):
        assert ends.refuse() is False
    ends.answer()


def test_who_sends_nothing_is_not_waited_for(ends: Ends) -> None:
    with gevent.Timeout(2):
        assert ends.refuse(idle_s=0.1) is False


@pytest.mark.parametrize("stays", [True, False])
def test_a_connection_is_closed_where_either_side_wants_it(stays: bool, ends: Ends) -> None:
    wish = b"Connection: close\r\n" if stays else b""
    sending = gevent.spawn(ends.client.sendall, HEAD % len(PHOTO) + wish + b"\r\n" + PHOTO)
    assert ends.refuse(stays) is False
    sending.join()
    assert b"\r\nConnection: close\r\n" in ends.answer()


def test_who_asks_without_a_pause_does_not_stop_the_others(ends: Ends) -> None:
    served: list[int] = []

    def refusal(*_: str) -> Refusal | None:
        ends.client.sendall(HEAD % 0 + b"\r\n")  # the next is here before this one is answered
        ends.asked.append(("", "", ""))
        return ("503 No", {}, b"") if len(ends.asked) < 5 else None

    gevent.spawn(lambda: served.append(len(ends.asked)))
    ends.client.sendall(HEAD % 0 + b"\r\n")
    gevent.sleep(0)  # what was spawned runs; the next one while requests are refused
    gevent.spawn(lambda: served.append(len(ends.asked)))
    ends.server.refuse(refusal, lambda: True, 5, MOST_BYTES)
    assert served[1] < 5


class Clock:
    """Time that goes on only while a client reads, however busy the machine is."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let an answer be taken at 1,000 bytes a second, looked at twenty times a second."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "_GRACE_S", 0.05)
    monkeypatch.setattr(module, "_LEAST_BYTES_PER_S", 1000)
    return clock


ANSWER = bytes(20_000_000)  # many times what the kernel takes


def take(ends: Ends, clock: Clock, seconds: float, size: int) -> None:
    """Let the client take pieces, a hundred a second."""
    for _ in range(round(seconds * 100)):
        ends.client.recv(size)
        clock.now += 0.01
        gevent.sleep(0.005)


def test_an_answer_that_is_taken_slowly_but_steadily_is_not_cut(ends: Ends, clock: Clock) -> None:
    sending = gevent.spawn(ends.server.sendall, ANSWER)
    take(ends, clock, 1, 65_536)
    assert not sending.ready()
    while not sending.ready():
        assert ends.client.recv(1_000_000)
    sending.get()


@pytest.mark.parametrize("before", [0, 3_000_000])
def test_who_takes_a_byte_now_and_then_is_cut(before: int, ends: Ends, clock: Clock) -> None:
    sending = gevent.spawn(ends.server.sendall, ANSWER)
    while before > 0:
        before -= len(ends.client.recv(65_536))
    take(ends, clock, 0.2, 1)
    with pytest.raises(BrokenPipeError):
        sending.get(timeout=5)
