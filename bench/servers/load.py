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


def run(port: int, clients: int, alive: bool, seconds: float) -> dict[str, object]:
    """Return what `seconds` of load gave: latencies in ms, errors, requests by process id."""
    request = (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Length: %d\r\nConnection: %s\r\n\r\n"
        % (BODY, b"keep-alive" if alive else b"close")
    ) + b"x" * BODY
    poll = select.epoll()
    users: dict[int, Client] = {}
    latencies: list[float] = []
    errors = answered = 0
    processes: Counter[int] = Counter()

    def start(user: Client) -> None:
        connection = user.post()
        users[connection.fileno()] = user
        poll.register(connection, select.EPOLLIN | (0 if user.send() else select.EPOLLOUT))

    def stop(user: Client, close: bool) -> None:
        assert user.socket is not None
        poll.unregister(user.socket)
        del users[user.socket.fileno()]
        if close:
            user.close()

    for _ in range(clients):
        start(Client(port, request))
    begin = time.perf_counter() + WARM_UP_S
    end = begin + seconds
    spent: float | None = None
    while (now := time.perf_counter()) < end:
        if spent is None and now >= begin:
            spent = time.process_time()
        for number, event in poll.poll(0.05):
            user = users[number]
            try:
                if event & select.EPOLLOUT and user.send():
                    poll.modify(number, select.EPOLLIN)
                if not event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    continue
                if not user.receive():
                    continue
                answered += 1
                if user.start >= begin:
                    latencies.append((time.perf_counter() - user.start) * 1000)
                    body = user.answer.partition(b"\r\n\r\n")[2]
                    processes[json.loads(body)["pid"]] += 1
                closing = not alive or b"connection: close" in user.answer[:500].lower()
            except (OSError, ValueError):
                errors += 1
                closing = True
            stop(user, closing)
            start(user)
    return {
        "seconds": seconds,
        "latencies_ms": latencies,
        "answered": answered,
        "errors": errors,
        "processes": list(processes.values()),
        "load_cpu_s": time.process_time() - (spent or 0.0),
        "waiting": sum(time.perf_counter() - user.start > ANSWER_S for user in users.values()),
    }


if __name__ == "__main__":
    port, clients, alive, seconds = sys.argv[1:]
    print(json.dumps(run(int(port), int(clients), alive == "alive", float(seconds))))
