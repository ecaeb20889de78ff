"""A result → the JSON that a client gets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.images import Point
from shared.messages import Result


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


def _plain(number: float) -> float | int:
    return int(number) if number == int(number) else number
