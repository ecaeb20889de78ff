"""Both ends of a queue without what is behind them: to see what Redis alone can take.

    python -m bench.scaling.ends feed '{"model": "tags", ...}'
    python -m bench.scaling.ends drain '{"model": "tags", ...}'

`feed` enqueues ready requests and receives results as a web process does, without HTTP or photos;
`drain` takes and acks as a worker does, without an engine.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from shared.manifest import Model, read_model
from shared.messages import Request, Result, decode_results
from shared.queue import Queue
from shared.settings import Settings
from shared.store import connect

_SEND_BYTES = 4 * 1024 * 1024  # in one round trip, as `web/dispatch.py` has it
_BEAT_S = 0.5
_ID = slice(16, 48)  # in a request, by the table in `shared/messages.py`
_MAILBOX = slice(48, 80)


@dataclass(frozen=True)
class Order:
    """What one of the processes does."""

    model: str
    seconds: float
    window: int = 64  # requests of a feeder that wait at once
    batch: int = 16  # the most that a drainer takes


@dataclass(frozen=True)
class Done:
    """What it did."""

    items: int
    takes: float  # batches; as a feeder has it, by what the results say
    errors: int
    cpu_s: float


@dataclass(frozen=True)
class Ready(Result):
    """A result whose bytes are made beforehand."""

    body: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes."""
        return self.body


def feed(order: Order, settings: Settings) -> Done:
    """Keep `window` requests waiting for some seconds."""
    model = read_model(settings.models_folder / order.model)
    mailbox = secrets.token_hex(16)
    payload = _request(model, mailbox)
    head, tail = payload[: _ID.start], payload[_ID.stop :]
    at_once = max(1, min(order.window, _SEND_BYTES // len(payload)))
    queue = Queue(connect(settings.redis_url, 3), model.queue, settings)
    spent = time.process_time()
    until = time.monotonic() + order.seconds
    waiting = items = errors = 0
    takes = 0.0
    while time.monotonic() < until:
        count = min(order.window - waiting, at_once)
        if count:
            ids = (secrets.token_hex(16).encode() for _ in range(count))
            replies = queue.enqueue([b"".join((head, id_, tail)) for id_ in ids])
            accepted = sum(reply.status == "accepted" for reply in replies)
            errors += count - accepted
            waiting += accepted
        if waiting and (payload := queue.receive(mailbox, 1.0)):
            results = decode_results(payload)
            waiting -= len(results)
            items += len(results)
            takes += len(results) / max(1, results[0].batch_size)
    return Done(items, takes, errors, time.process_time() - spent)


def drain(order: Order, settings: Settings) -> Done:
    """Take batches and ack them for some seconds."""
    model = read_model(settings.models_folder / order.model)
    queue = Queue(connect(settings.redis_url, 3), model.queue, settings)
    token = secrets.token_hex(16)
    tensors = [np.zeros((1, 1), np.uint8)]  # ack asks a request for nothing but its items
    ready = Ready("", body=_result(model).encode())
    curve_ms = [0.1] * order.batch
    spent = time.process_time()
    until = time.monotonic() + order.seconds
    beat_at = 0.0
    items = takes = errors = 0
    while (now := time.monotonic()) < until:
        if now >= beat_at:
            queue.beat(token, {"token": token})
            beat_at = now + _BEAT_S
        taken = queue.take(token, curve_ms)
        if not taken:
            queue.wait(0.2)
            continue
        answers: list[tuple[Request, Result]] = [
            (
                Request(item.payload[_ID].decode(), tensors, 0, 0, item.payload[_MAILBOX].decode()),
                ready,
            )
            for item in taken
        ]
        errors += len(taken) - queue.ack(token, answers)
        items += len(taken)
        takes += 1
    queue.reap(dead=token)
    return Done(items, takes, errors, time.process_time() - spent)


def _request(model: Model, mailbox: str) -> bytes:
    tensors = [np.zeros((1, *each.shape), np.uint8) for each in model.classifiers]
    context = b'{"points":[[312,200]],"many":false,"decode_ms":3.14}'
    return Request("0" * 32, tensors, 5000, mailbox=mailbox, context=context).encode()


def _result(model: Model) -> Result:
    item = {
        each.name: [{"label": label, "probability": 0.123456} for label in each.labels[:5]]
        for each in model.classifiers
    }
    timing = {"queue": 1.0, "batch_wait": 0.123, "inference": 12.345}
    return Result(
        "0" * 32,
        items=[item],
        version=model.version,
        batch_size=16,
        timing_ms=timing,
        context="c" * 50,
    )


if __name__ == "__main__":
    role, text = sys.argv[1:]
    act = {"feed": feed, "drain": drain}[role]
    print(json.dumps(asdict(act(Order(**json.loads(text)), Settings.from_environment()))))
