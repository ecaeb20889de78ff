"""What the service's own failures are over HTTP: status, type, and when to come again."""

from __future__ import annotations

import json

import pytest

from web.errors import problem
from web.storage import StorageError
from web.tickets import (
    DeadlineError,
    InferenceError,
    NoRoomError,
    NoWorkerError,
    OverloadedError,
    QueueFullError,
    StoreAwayError,
    StoreFullError,
)


@pytest.mark.parametrize(
    ("error", "status", "name", "retry_after"),
    [
        (QueueFullError(1500), 503, "queue-full", "2"),
        (QueueFullError(3_600_000), 503, "queue-full", "60"),
        (OverloadedError(1), 503, "overloaded", "1"),
        (NoRoomError(), 503, "overloaded", "1"),
        (StoreFullError(), 503, "store-full", "5"),
        (NoWorkerError(), 503, "no-worker", "5"),
        (StoreAwayError(), 503, "store-away", "5"),
        (StorageError(), 503, "storage-away", "5"),
        (DeadlineError(), 504, "deadline", None),
        (InferenceError("cause"), 500, "inference-failed", None),
        (ZeroDivisionError("secret"), 500, "internal", None),
    ],
)
def test_a_failure_of_the_service_has_its_type(
    error: Exception, status: int, name: str, retry_after: str | None
) -> None:
    answered, headers, body = problem(error, "the id")
    content = json.loads(body)
    assert (answered, content["status"]) == (status, status)
    assert content["type"] == f"urn:batchpoint:problem:{name}"
    assert headers.get("Retry-After") == retry_after
    assert headers["Content-Type"] == "application/problem+json"
    assert content["request_id"] == "the id"
    assert "secret" not in body.decode()


@pytest.mark.parametrize("door", ["v1", "v2"])
def test_behind_other_protocols_doors_it_is_what_those_say(door: str) -> None:
    status, headers, body = problem(StoreAwayError(), "the id", f"/{door}/models/tags")
    assert (status, headers["Retry-After"]) == (503, "5")
    assert list(json.loads(body)) == ["error"]
