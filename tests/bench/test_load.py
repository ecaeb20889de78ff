"""The load against a server that answers as the test says."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.compare.connection import BROKEN, LEFT, Outcome
from bench.compare.load import Job, judge, run, told
from bench.compare.requests import decode_point, encode, is_right, read_calls, right

GOOD = {"themes": [{"label": "Cats", "probability": 0.9}]}


@contextmanager
def server(answer: Callable[[int], tuple[str, bytes]]) -> Iterator[int]:
    """Serve `answer(n)`, a status line and a body, to the n-th request; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    count = iter(range(1_000_000))

    def serve(client: socket.socket) -> None:
        # Clients leave when they like.
        with client, client.makefile("rb") as lines, contextlib.suppress(OSError):
            while head := lines.readline():
                length = 0
                while (line := lines.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                lines.read(length)
                assert head.startswith(b"POST")
                status, body = answer(next(count))
                top = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n"
                client.sendall(top.encode() + body)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a load of one photo, whose right answer is Cats."""
    (tmp_path / "00.jpg").write_bytes(b"x" * 100_000)
    (tmp_path / "calls.json").write_text('[{"photo": "00.jpg", "x": 1, "y": 2}]')
    answers = tmp_path / "answers.json"
    answers.write_text('[{"themes": {"Cats": 0.9, "Dogs": 0.9}}]')
    return Job(0, "/predict", "query", str(tmp_path), str(answers), 0.5, warm_up_s=0.1)


def with_port(job: Job, port: int, **figures: float) -> Job:
    """Return `job` against a port."""
    return Job(**{**vars(job), "port": port, **figures})


def test_the_closed_loop_counts_what_was_answered_rightly(job: Job) -> None:
    with server(lambda number: ("200 OK", json.dumps(GOOD).encode())) as port:
        seen = run(with_port(job, port, clients=4))
    assert not seen.errors
    assert len(seen.latencies_ms) > 20
    assert seen.latencies_ms == sorted(seen.latencies_ms)


def test_refusals_and_wrong_answers_are_errors_and_not_speed(job: Job) -> None:
    wrong = json.dumps({"themes": [{"label": "Cars", "probability": 1}]}).encode()

    def answer(number: int) -> tuple[str, bytes]:
        return [
            ("503 Full", b"{}"),
            ("200 OK", wrong),
            ("200 OK", b"no JSON"),
            ("200 OK", json.dumps(GOOD).encode()),
        ][number % 4]

    with server(answer) as port:
        seen = run(with_port(job, port, clients=1, warm_up_s=0.0))
    assert seen.errors["503"] >= 1
    assert seen.errors["wrong answer"] >= 2
    assert abs(seen.errors["503"] - len(seen.latencies_ms)) <= 1


def test_who_waits_in_vain_is_an_error(job: Job) -> None:
    def answer(number: int) -> tuple[str, bytes]:
        time.sleep(2)
        return "200 OK", b"{}"

    with server(answer) as port:
        seen = run(with_port(job, port, clients=3, patience_s=0.3))
    assert seen.errors == {"too late": 3}


def test_the_open_loop_counts_time_from_when_a_request_was_due(job: Job) -> None:
    """A server that stands still for a while delays those who come meanwhile."""

    def answer(number: int) -> tuple[str, bytes]:
        if number == 0:
            time.sleep(0.3)
        return "200 OK", json.dumps(GOOD).encode()

    with server(answer) as port:
        seen = run(
            with_port(job, port, clients=0, per_s=50, seconds=0.5, deadline_s=2, warm_up_s=0)
        )
    assert not seen.errors
    assert 5 < len(seen.latencies_ms) < 60
    assert seen.latencies_ms[-1] > 290


def test_a_client_of_the_open_loop_leaves_at_its_deadline(job: Job) -> None:
    def answer(number: int) -> tuple[str, bytes]:
        time.sleep(1)
        return "200 OK", json.dumps(GOOD).encode()

    with server(answer) as port:
        seen = run(with_port(job, port, clients=0, per_s=20, seconds=0.5, deadline_s=0.2))
    assert not seen.latencies_ms
    assert set(seen.errors) == {"too late"}


def test_every_way_to_end_is_judged() -> None:
    good = json.dumps(GOOD).encode()
    outcomes = [
        Outcome(0, 0.0, 1.0, 200, b"HTTP/1.1 200 OK\r\n\r\n" + good),
        Outcome(0, 0.0, 1.0, 429, b""),
        Outcome(0, 0.0, 1.0, BROKEN, b""),
        Outcome(0, 0.0, 1.0, LEFT, b""),
        Outcome(0, 0.0, 1.0, 200, b"HTTP/1.1 200 OK\r\n\r\n{}"),
    ]
    right_ones, errors = judge(outcomes, [{"themes": {"Cats": 0.9}}])
    assert [outcome.body for outcome in right_ones] == [good]
    assert errors == {"429": 1, "connection broken": 1, "too late": 1, "wrong answer": 1}


def test_the_mean_batch_counts_a_batch_once() -> None:
    """One batch of 4 is told by four answers, one of 1 by one: two batches of 2.5."""
    body = [json.dumps({"timing_ms": {"decode": 3.0}, "batch_size": n}) for n in (4, 4, 4, 4, 1)]
    timing, batch = told(text.encode() for text in body)
    assert timing == {"decode": 3.0}
    assert batch == pytest.approx(2.5)


def test_a_label_near_the_likeliest_is_right_too() -> None:
    likely = {"a": 0.5, "b": 0.4995, "c": 0.49}
    wanted = right({"themes": [{"label": k, "probability": v} for k, v in likely.items()]})
    assert wanted == {"themes": {"a": 0.5, "b": 0.4995}}
    assert is_right(b'{"themes": [{"label": "b", "probability": 0.5}]}', wanted)
    assert not is_right(b'{"themes": [{"label": "c", "probability": 0.5}]}', wanted)
    assert not is_right(b'{"themes": [{"label": "b", "probability": 0.497}]}', wanted)
    assert not is_right(b'{"themes": [{"label": "b"}]}', wanted)
    assert not is_right(b'{"success": false}', wanted)


def test_the_point_goes_into_the_path_or_before_the_photo(tmp_path: Path, job: Job) -> None:
    (call,) = read_calls(tmp_path)
    assert encode("query", "/predict", call, b"abc").startswith(b"POST /predict?x=1&y=2 HTTP/1.1")
    body = encode("prefix", "/inference", call, b"abc").partition(b"\r\n\r\n")[2]
    assert decode_point(body) == (b"abc", 1, 2)
