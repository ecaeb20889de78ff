"""Clients that leave before their answer is there, and greenlets killed while they wait."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.chaos import photos
from bench.chaos.load import Load
from bench.chaos.photos import Photo
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage, kill
from bench.compare.tagger import ROOT

_LEAVERS = 40
_STOPPED_S = 0.8  # so short that the workers do not count as dead
_ENQUEUED_S = 0.4


def _leave(stage: Stage, short: bool) -> Seen:
    """Let clients post while the workers are stopped, and leave once their photos are queued."""
    before = stage.inferences()
    left: list[Photo] = []
    queued = 0
    with Load(stage.port, photos.numbered, clients=40, every_s=2) as load:
        for _ in range(3 if short else 10):
            stage.settle(1)
            leaving = [photos.numbered() for _ in range(_LEAVERS)]
            with _stopped([int(worker["pid"]) for worker in stage.ready()]):
                with ExitStack() as connections:
                    for photo in leaving:
                        connections.enter_context(_post(stage.port, photo))
                    stage.settle(_ENQUEUED_S)
                    queued += min(_LEAVERS, stage.census().items)
                stage.settle(_STOPPED_S - _ENQUEUED_S)
            left += leaving
    tally = load.tally()
    runs = stage.inferences() - before
    ran = sum(runs[photo.number] for photo in left)
    misses = tally.misses(least_ok=1.0)
    if ran:
        misses.append(f"{ran} photos ran whose clients had left")
    if queued < len(left):
        misses.append(f"only {queued} of {len(left)} were queued when their clients left")
    return Seen({"left": len(left), "of these ran": ran, **tally.figures()}, misses)


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


@contextmanager
def _post(port: int, photo: Photo) -> Iterator[None]:
    """Post a photo, and leave at the block's end without having read the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        head = f"POST /predict?{photo.query} HTTP/1.1\r\nHost: a\r\nContent-Length: "
        client.sendall(f"{head}{len(photo.data)}\r\n\r\n".encode() + photo.data)
        yield


def _kill_greenlets(stage: Stage, short: bool) -> Seen:
    before = stage.inferences()
    rounds = "5" if short else "25"
    # In a process of its own: in a web process nobody can kill a greenlet from outside.
    words = ["env", f"REDIS_URL={stage.redis_url}", sys.executable]
    words += ["-m", "gevent.monkey", "--module", "bench.chaos.greenlets", "--rounds", rounds]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=120)
    seen = json.loads(done.stdout)
    runs = stage.inferences() - before
    killed = seen.pop("killed")
    ran = sum(runs[number] for number in killed)
    misses = []
    if ran:
        misses.append(f"{ran} photos ran whose greenlets had been killed")
    if seen["swapped"]:
        misses.append(f"{seen['swapped']} got what was another's")
    if seen["broken"] or seen["answered"] != seen["asked"]:
        misses.append(f"only {seen['answered']} of {seen['asked']} got anything")
    return Seen({"killed": len(killed), "of these ran": ran, **seen}, misses)


ROWS = (
    Row(
        "clients leave",
        "40 clients at a time close their connections while their photos are queued",
        "cancelled before inference: none of these photos runs; the others are all 200",
        Needs(),
        _leave,
    ),
    Row(
        "greenlets killed",
        "every other greenlet is killed while it waits for its result, or for a reply of Redis",
        "cancelled before inference; no connection with an unread reply goes back to the pool: "
        "all others get what is theirs",
        Needs(),
        _kill_greenlets,
    ),
)
