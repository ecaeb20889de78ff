"""Greenlets killed while they wait, for a result or for Redis itself: what becomes of the rest.

    REDIS_URL=... python -m gevent.monkey --module bench.chaos.greenlets [--rounds 3]

The web tier's own dispatcher and its way to look at results, in a process of their own: in a web
process nobody can kill a greenlet from outside. Prints one JSON object: the numbers of the photos
whose greenlets were `killed`, how many results the others got, of `asked`, and how many are
`swapped` or `broken`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
from functools import partial

import gevent

from bench.chaos import photos
from bench.chaos.photos import Photo
from bench.chaos.stage import MODEL
from shared import keys
from shared.images import Point
from shared.messages import Request, Result
from shared.preparation import prepare
from shared.queue import Queue
from shared.settings import Settings
from shared.store import connect
from web.dispatch import Dispatcher
from web.results import kept_result

_AT_ONCE = 12  # of the 16 connections that a client has
_ENQUEUED_S = 0.4
_CANCELLED_S = 0.4


class Trial:
    """Rounds of greenlets of which every other one is killed."""

    def __init__(self, settings: Settings) -> None:
        self.killed: list[int] = []
        self.asked = self.answered = self.swapped = self.broken = 0
        self._client = connect(settings.redis_url)
        self._queue = Queue(self._client, MODEL.queue, settings)
        self._dispatcher = Dispatcher(
            sending=Queue(connect(settings.redis_url), MODEL.queue, settings),
            receiving=Queue(connect(settings.redis_url, 2.0), MODEL.queue, settings),
            receive_s=1.0,
            heartbeat_s=settings.heartbeat_ms / 1000,
        )

    def wait_for_results(self) -> None:
        """Kill half of those who wait while the workers are stopped, so that nothing runs yet."""
        workers = [int(worker["pid"]) for worker in self._queue.census().workers]
        asked = [photos.numbered() for _ in range(_AT_ONCE)]
        _send(workers, signal.SIGSTOP)
        try:
            waiting = [gevent.spawn(partial(self._predict, photo)) for photo in asked]
            gevent.sleep(_ENQUEUED_S)
            gevent.killall(waiting[::2])
            gevent.sleep(_CANCELLED_S)
        finally:
            _send(workers, signal.SIGCONT)
        self.killed += [photo.number for photo in asked[::2]]
        self._see(waiting[1::2])

    def wait_for_redis(self) -> None:
        """Kill half of those who wait for a reply of Redis, then let all look at it again."""
        ids = [secrets.token_hex(16) for _ in range(_AT_ONCE)]
        for id_ in ids:
            result = Result(id_).encode()
            self._client.set(keys.result(MODEL.queue, id_), result, px=10_000)
        redis_pid = [int(self._client.info("server")["process_id"])]
        _send(redis_pid, signal.SIGSTOP)
        try:
            waiting = [gevent.spawn(partial(self._look, id_)) for id_ in ids]
            gevent.sleep(0.1)
            gevent.killall(waiting[::2])
        finally:
            _send(redis_pid, signal.SIGCONT)
        self._see(waiting[1::2])
        self._see([gevent.spawn(partial(self._look, id_)) for id_ in ids])

    def _predict(self, photo: Photo) -> None:
        point = Point(photo.x, photo.y)
        _, tensors = prepare(MODEL, photo.data, [point], Settings().max_pixels)
        result, _ = self._dispatcher.predict(Request(secrets.token_hex(16), tensors, 5000))
        self.answered += 1
        self.swapped += not photo.is_right(
            {**result.items[0], "point": {"x": photo.x, "y": photo.y}}
        )

    def _look(self, id_: str) -> None:
        result = kept_result(self._queue, id_)
        self.answered += 1
        self.swapped += result is None or result.id != id_

    def _see(self, greenlets: list[gevent.Greenlet[[], None]]) -> None:
        self.asked += len(greenlets)
        gevent.joinall(greenlets)
        self.broken += sum(greenlet.exception is not None for greenlet in greenlets)


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def main() -> int:
    """Do all rounds, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    trial = Trial(Settings.from_environment())
    for _ in range(rounds):
        trial.wait_for_results()
        trial.wait_for_redis()
    seen = {name: value for name, value in vars(trial).items() if not name.startswith("_")}
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
