"""A load that hardly costs anything: `python -m bench.servers.load PORT CLIENTS ALIVE SECONDS`.

A process of its own (its CPU is counted apart): one thread, raw sockets, epoll. Each client posts
80 KB, waits for the whole answer, and posts again, over the same connection or over a new one.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter

BODY = 80_000  # bytes
WARM_UP_S = 0.3
ANSWER_S = 10.0
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\nConnection: %s\r\n\r\n"
)


class Client:
    """One user: a socket, what is still to be sent, what has come."""

    def __init__(self, port: int, request: bytes) -> None:
        self.port, self.request = port, request
        self.socket: socket.socket | None = None

    def post(self) -> socket.socket:
        """Start a request, over a new connection if there is none; return its socket."""
        self.start = time.perf_counter()
        self.rest = memoryview(self.request)
        self.answer = b""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), ANSWER_S)
            self.socket.setblocking(False)
        return self.socket

    def send(self) -> bool:
        """Send what the kernel takes; return whether that was all."""
        assert self.socket is not None
        self.rest = self.rest[self.socket.send(self.rest) :]
        return not self.rest

    def receive(self) -> bool:
        """Take what has come; return whether the answer is whole."""
        assert self.socket is not None
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("closed before the answer was whole")
        self.answer += piece
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return False
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        return len(body) >= length

    def close(self) -> None:
        """Forget the connection."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Load:
    """All clients on one epoll, and what they have seen since the warm-up."""

    def __init__(self, port: int, clients: int, alive: bool) -> None:
        connection = b"keep-alive" if alive else b"close"
        request = HEAD % (BODY, connection) + b"x" * BODY
        self.alive = alive
        self.poll = select.epoll()
        self.users: dict[int, Client] = {}
        self.latencies: list[float] = []  # ms
        self.processes: Counter[int] = Counter()
        self.answered = self.errors = 0
        self.begin = time.perf_counter() + WARM_UP_S
        for _ in range(clients):
            self.start(Client(port, request))

    def start(self, user: Client) -> None:
        """Let `user` post."""
        connection = user.post()
        self.users[connection.fileno()] = user
        more = 0 if user.send() else select.EPOLLOUT
        self.poll.register(connection, select.EPOLLIN | more)

    def turn(self) -> None:
        """Let every client go on whose socket is ready."""
        for number, event in self.poll.poll(0.05):
            user = self.users[number]
            try:
                if event & select.EPOLLOUT and user.send():
                    self.poll.modify(number, select.EPOLLIN)
                if not event & ~select.EPOLLOUT or not user.receive():
                    continue
                self.note(user)
                close = not self.alive or b"connection: close" in user.answer[:500].lower()
            except (OSError, ValueError):
                self.errors += 1
                close = True
            self.poll.unregister(number)
            del self.users[number]
            if close:
                user.close()
            self.start(user)

    def note(self, user: Client) -> None:
        """Count a whole answer."""
        self.answered += 1
        if user.start >= self.begin:
            self.latencies.append((time.perf_counter() - user.start) * 1000)
            self.processes[json.loads(user.answer.partition(b"\r\n\r\n")[2])["pid"]] += 1


def run(port: int, clients: int, alive: bool, seconds: float) -> dict[str, object]:
    """Return what `seconds` of load gave, after a warm-up."""
    load = Load(port, clients, alive)
    while time.perf_counter() < load.begin:
        load.turn()
    spent = time.process_time()
    while (now := time.perf_counter()) < load.begin + seconds:
        load.turn()
    return {
        "latencies_ms": load.latencies,
        "answered": load.answered,
        "errors": load.errors,
        "late": sum(now - user.start > ANSWER_S for user in load.users.values()),
        "processes": list(load.processes.values()),
        "load_cpu_s": time.process_time() - spent,
    }


if __name__ == "__main__":
    port, clients, alive, seconds = sys.argv[1:]
    print(json.dumps(run(int(port), int(clients), alive == "alive", float(seconds))))
