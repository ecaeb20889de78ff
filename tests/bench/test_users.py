"""The users of the scaling bench against a small server, and both ends of a queue on Redis."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from bench.compare.load import Job, run
from bench.scaling.ends import Done, Order, drain, feed
from shared.settings import Settings


class Slow(BaseHTTPRequestHandler):
    """Answers every post after 20 ms; every tenth with 503."""

    protocol_version = "HTTP/1.1"
    count = 0

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.02)
        Slow.count += 1
        body = json.dumps({"timing_ms": {"total": 20.0}, "batch_size": 4}).encode()
        self.send_response(503 if Slow.count % 10 == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder with one photo to post."""
    (tmp_path / "a.jpg").write_bytes(b"photo" * 100_000)
    (tmp_path / "calls.json").write_text('[{"photo": "a.jpg", "x": 1, "y": 2}]')
    return str(tmp_path)


def test_every_answer_is_waited_for_and_errors_are_counted(port: int, folder: str) -> None:
    Slow.count = 0
    found = run(Job(port, "/predict", "query", folder, "", 0.5, clients=4, warm_up_s=0.3))
    assert found.answered == Slow.count - Slow.count // 10
    assert found.errors["503"] >= 1
    assert len(found.latencies_ms) > 20
    assert min(found.latencies_ms) >= 20
    assert found.batch == 4


def test_users_who_think_ask_less(port: int, folder: str) -> None:
    job = Job(port, "/predict", "query", folder, "", 1.0, clients=4, think_s=0.3, warm_up_s=0.2)
    found = run(job)
    assert 2 <= len(found.latencies_ms) <= 28  # about 12


def test_what_is_fed_is_drained(client: redis.Redis, redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    done: list[Done] = []
    draining = threading.Thread(
        target=lambda: done.append(drain(Order("tags", 1.0, batch=8), settings))
    )
    draining.start()
    while not client.keys("*workers"):
        time.sleep(0.01)
    fed = feed(Order("tags", 0.4, window=16), settings)
    draining.join()
    assert fed.items > 16
    assert (fed.errors, done[0].errors) == (0, 0)
    assert fed.items <= done[0].items <= fed.items + 16
    assert done[0].takes < done[0].items
