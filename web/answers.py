"""A result → the JSON that a client gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from gevent.threadpool import ThreadPool

from shared.images import Point
from shared.messages import Result
from web.softmax import Softmax
from web.threads import run_in

_SMALL = 10_000  # numbers, that are written in a few milliseconds
_PIECE = 1000  # numbers


def to_context(points: Sequence[Point], many: bool, decode_ms: float) -> bytes:
    """Return what the answer needs and only the web process knows.

    It travels with the request and comes back in the result, so any process can answer.
    """
    return json.dumps({"points": points, "many": many, "decode": round(decode_ms, 3)}).encode()


def with_whole_timing(result: Result, total_ms: float | None = None) -> Result:
    """Return `result` with `decode` and `total` beside what the worker timed.

    `total` is the sum of the parts where `total_ms` is not given.
    """
    timing = {"decode": json.loads(result.context)["decode"], **result.timing_ms}
    timing["total"] = round(sum(timing.values()) if total_ms is None else total_ms, 3)
    return replace(result, timing_ms=timing)


def to_answer(model: str, result: Result) -> dict[str, Any]:
    """Return the contract's JSON object for a result with its whole timing."""
    context = json.loads(result.context)
    points = [{"x": _plain(x), "y": _plain(y)} for x, y in context["points"]]
    answer: dict[str, Any] = {
        "request_id": result.id,
        "success": True,
        "model": model,
        "version": result.version,
    }
    if context["many"]:
        answer["points"] = [
            {"point": point, **item} for point, item in zip(points, result.items, strict=True)
        ]
    else:
        answer |= {**result.items[0], "point": points[0]}
    return {**answer, "timing_ms": result.timing_ms, "batch_size": result.batch_size}


def to_json(softmax: Mapping[str, Softmax], make: Callable[[], Any]) -> bytes:
    """Return as JSON what `make` makes of a softmax.

    Of a large one that is done off the event loop, one answer at a time: 256 items of 1,000 labels
    take a third of a second.
    """
    if sum(numbers.size for numbers in softmax.values()) < _SMALL:
        return _write(make)
    text: bytes = run_in(_writer(), _write, make)
    return text


@cache
def _writer() -> ThreadPool:
    """Return the thread of this process that writes, made when it is first needed."""
    return ThreadPool(1)


def _write(make: Callable[[], Any]) -> bytes:
    return _encode(make()).encode()


def _encode(content: Any) -> str:
    """Return JSON, written in pieces: between two of them the event loop has its turn."""
    if isinstance(content, dict):
        entries = (f"{_dumps(name)}:{_encode(value)}" for name, value in content.items())
        return "{" + ",".join(entries) + "}"
    if not isinstance(content, list):
        return _dumps(content)
    if content and isinstance(content[0], list | dict):
        return "[" + ",".join(map(_encode, content)) + "]"
    starts = range(0, len(content), _PIECE)
    return "[" + ",".join(_dumps(content[at : at + _PIECE])[1:-1] for at in starts) + "]"


def _dumps(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def _plain(number: float) -> float | int:
    return int(number) if number == int(number) else number
