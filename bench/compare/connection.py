"""One keep-alive connection of the load: a raw socket, what is to be sent, what has come."""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

BROKEN = 0  # the status of a request whose connection broke
LEFT = -1  # the status of a request that its client gave up


class Outcome(NamedTuple):
    """How one request ended."""

    call: int  # which of the requests it was
    due: float  # monotonic seconds: when it was to be sent
    done: float
    status: int  # of HTTP, or one of the above
    answer: bytes  # head and body; empty where none came

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return self.answer.partition(b"\r\n\r\n")[2]


class Connection:
    """Sends one request after the other; the caller waits for the socket to be ready."""

    __slots__ = ("answer", "call", "due", "number", "port", "rest", "socket")

    def __init__(self, port: int) -> None:
        self.port = port
        self.number = -1  # of the socket; none is open

    def open(self) -> None:
        """Begin to connect, unless it is connected. Raises `OSError`.

        A server that accepts nobody must not hold up the others' requests.
        """
        if self.number >= 0:
            return
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = self.socket.connect_ex(("127.0.0.1", self.port))
        if error not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(error, "cannot connect")
        self.number = self.socket.fileno()

    def close(self) -> None:
        """Close the socket, if there is one."""
        if self.number >= 0:
            self.socket.close()
            self.number = -1

    def post(self, call: int, request: bytes, due: float) -> bool:
        """Begin a request; return whether the kernel has taken all of it."""
        self.call, self.due, self.answer = call, due, b""
        self.rest = memoryview(request)
        return self.send()

    def send(self) -> bool:
        """Send what the kernel takes; return whether that was all."""
        try:
            while self.rest:
                self.rest = self.rest[self.socket.send(self.rest) :]
        except BlockingIOError:
            return False
        return True

    def receive(self) -> int:
        """Take what has come; return the answer's status, or 0 while it is not whole."""
        piece = self.socket.recv(262_144)
        if not piece:
            raise ConnectionError("closed before the answer was whole")
        answer = self.answer = self.answer + piece if self.answer else piece
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            return 0
        at = answer.find(b"ontent-", 0, end)
        while answer[at + 7 : at + 13].lower() != b"length":
            at = answer.find(b"ontent-", at + 7, end)
            if at < 0:
                raise ConnectionError("an answer without Content-Length")
        length = int(answer[at + 14 : answer.index(b"\r", at)])
        return int(answer[9:12]) if len(answer) - end - 4 >= length else 0

    def closes(self) -> bool:
        """Return whether the connection ends with this answer.

        Also where the answer came before the whole request was sent.
        """
        head = self.answer[: self.answer.index(b"\r\n\r\n")].lower()
        return bool(self.rest) or b"connection: close" in head
