"""Clients that are slow, that leave, and what becomes of the others meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.servers.messages import PATIENCE_S, POST, Outcome, connect, goes_on, statuses
from bench.servers.process import Server

HEADER_S = 10.0
BODY_S = 20.0
WATCH_S = 24.0  # the longer of the two, and a margin
HEALTHY_S = 2.0  # a healthy client's answer takes about 0.02 s
START = b"POST /predict HTTP/1.1\r\nHost: a\r\nX-A: "
BODY = POST + b"Content-Length: 80000\r\n\r\n" + b"x" * 1000
UNANSWERED = (OSError, ValueError, http.client.HTTPException)


class Healthy:
    """One request after another while something else goes on, each over a new connection."""

    def __init__(self, port: int) -> None:
        self.port, self.worst, self.failed, self.served = port, 0.0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Healthy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            start = time.monotonic()
            try:
                ask(self.port)
                self.served += 1
            except UNANSWERED:
                self.failed += 1
            self.worst = max(self.worst, time.monotonic() - start)

    def __str__(self) -> str:
        if self.failed:
            return f"others: {self.failed} of {self.failed + self.served} failed"
        return f"others ≤ {self.worst:.1f} s"

    @property
    def well(self) -> bool:
        return not self.failed and self.worst < HEALTHY_S


def ask(port: int, path: str = "/predict") -> int:
    """Post once over a new connection; return the serving process. Raises if not answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("POST", path, b"abcde", {"Connection": "close"})
        return int(json.loads(connection.getresponse().read())["pid"])


def drip(port: int, count: int, message: bytes, most: float) -> Outcome:
    """`count` clients send `message`, then a byte a second: cut within `most` seconds or not."""
    slow = [connect(port) for _ in range(count)]
    for client in slow:
        client.sendall(message)
        client.setblocking(False)
    start, ends, codes = time.monotonic(), list[float](), set[int]()
    with Healthy(port) as healthy:
        while slow and time.monotonic() - start < most + 4:
            time.sleep(1)
            for client in list(slow):
                try:
                    client.send(b"a")
                    data = client.recv(65536)
                    codes.update(statuses(data))
                    over = True  # an answer, or the end: either way it is dealt with
                except BlockingIOError:
                    over = False
                except OSError:
                    over = True
                if over:
                    ends.append(time.monotonic() - start)
                    slow.remove(client)
                    client.close()
    for client in slow:
        client.close()
    how = "/".join(map(str, sorted(codes))) or "closed"
    cut = f"{how} after {max(ends):.0f} s" if not slow else f"{len(slow)} of {count} never cut"
    return Outcome(f"{cut}; {healthy}", not slow and healthy.well)


def unread(server: Server) -> Outcome:
    """50 clients ask for 8 MiB and read nothing: they do not hold the server for ever."""
    slow = []
    for _ in range(50):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        slow.append(client)
    before = server.rss_mib()
    with Healthy(server.port) as healthy:
        time.sleep(WATCH_S)
    held, grown = server.connections(), server.rss_mib() - before
    for client in slow:
        client.close()
    text = "all cut" if not held else f"{held} of 50 held"
    return Outcome(f"{text}; {healthy}; +{max(grown, 0):.0f} MiB", not held and healthy.well)


def flood(server: Server) -> Outcome:
    """4 clients go on sending after the 413, as fast as they can: the others are served."""
    with Healthy(server.port) as healthy, ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(goes_on, [server.port] * 4))
    return Outcome(f"{seen[0].text}; {healthy}", all(one.good for one in seen) and healthy.well)


def leave(server: Server) -> Outcome:
    """200 clients post and are gone before the answer: nothing stays, nothing is logged."""
    for _ in range(200):
        client = connect(server.port)
        client.sendall(POST + b"Content-Length: 5\r\n\r\nabcde")
        client.close()
    time.sleep(2)
    ask(server.port)
    held, traces = server.connections(), server.tracebacks()
    return Outcome(f"{held} held, {traces} stack traces", not held and not traces)


def killed(server: Server) -> Outcome:
    """A serving process dies by -9: another takes its place, and clients are served."""
    seen = serving(server.port)
    victim = min(seen)
    os.kill(victim, signal.SIGKILL)
    start = time.monotonic()
    while time.monotonic() - start < 8:
        now = serving(server.port) - {victim}
        if len(now) >= len(seen):
            return Outcome(f"replaced in {time.monotonic() - start:.1f} s", True)
    return Outcome("never replaced", False)


def serving(port: int) -> set[int]:
    """Return the processes that answer when 40 clients ask at once."""
    found: set[int] = set()

    def one() -> None:
        with contextlib.suppress(*UNANSWERED):
            found.add(ask(port))

    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def stopped(server: Server) -> Outcome:
    """SIGTERM under load, with requests of 3 s on their way: all that was taken is answered."""
    served, broken, slow = list[int](), list[str](), list[bool]()
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            try:
                served.append(ask(server.port))
            except ConnectionRefusedError:
                return
            except UNANSWERED as error:
                broken.append(repr(error))

    def ask_slow() -> None:
        try:
            slow.append(ask(server.port, "/slow") > 0)
        except UNANSWERED:
            slow.append(False)

    threads = [threading.Thread(target=keep_asking) for _ in range(16)]
    threads += [threading.Thread(target=ask_slow) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    start = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    try:
        server.process.wait(20)
        end = f"gone in {time.monotonic() - start:.0f} s"
    except Exception:
        end = "still there after 20 s"
    over.set()
    for thread in threads:
        thread.join()
    text = f"{end}; broken: {len(broken)} of {len(served)}, {slow.count(False)} of 8 slow"
    return Outcome(text, not broken and all(slow) and end.startswith("gone"))


CHECKS: dict[str, Callable[[Server], Outcome]] = {
    "10 slow headers": lambda server: drip(server.port, 10, START, HEADER_S + 2),
    "200 slow headers": lambda server: drip(server.port, 200, START, HEADER_S + 2),
    # More than the threads of two processes.
    "300 slow bodies": lambda server: drip(server.port, 300, BODY, BODY_S),
    "50 clients that read nothing": unread,
    "4 send 3 GB after the 413": flood,
    "200 clients that leave": leave,
    "kill -9 of a process": killed,
    "SIGTERM under load": stopped,
}
