"""What is refused before it is read, given what is in hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from shared.queue import Enqueued
from shared.settings import Settings
from tests.web.crowd import Crowd
from web.admission import Admission
from web.catalog import Served
from web.gate import Gate
from web.refused import Refused


def ask(admission: Admission, **environ: str) -> tuple[str, dict[str, str], bytes]:
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        seen.extend([status, dict(headers)])

    body = b"".join(admission({"REQUEST_METHOD": "POST", **environ}, start_response))
    return seen[0], seen[1], body


@pytest.fixture
def admission() -> Admission:
    """One whose model `tags` has 10 s of work ahead, and that of `digits` a full queue."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"answer"]

    crowd = Crowd()
    crowd.come(1100)
    crowd.answer(100, 1)
    full: Any = SimpleNamespace(refused=Refused())
    free: Any = SimpleNamespace(refused=Refused())
    full.refused.note(Enqueued("full", 3_000), 1)
    nothing: Any = None
    served = {
        "tags": Served(nothing, nothing, free, crowd.gate),
        "digits": Served(nothing, nothing, full, Gate()),
        "other": Served(nothing, nothing, free, Gate()),
    }

    def refused(name: str, deadline_s: float) -> Exception | None:
        return served[name].refusal(deadline_s) if name in served else None

    return Admission(app, Settings(), refused)


def test_a_refusal_is_a_problem_and_says_when_to_come_again(admission: Admission) -> None:
    status, headers, body = ask(admission, PATH_INFO="/predict")
    assert status == "503 Service Unavailable"
    assert headers["Content-Type"] == "application/problem+json"
    assert 5 <= int(headers["Retry-After"]) <= 8
    problem = json.loads(body)
    assert problem["type"] == "urn:batchpoint:problem:overloaded"
    assert problem["request_id"] == headers["X-Request-Id"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/tags:predict",
        "/v1/models/tags:classify",
        "/v2/models/tags/infer",
    ],
)
def test_the_doors_of_other_protocols_refuse_in_their_own_form(
    path: str, admission: Admission
) -> None:
    status, headers, body = ask(admission, PATH_INFO=path)
    assert status == "503 Service Unavailable"
    assert headers["Content-Type"] == "application/json"
    assert "Retry-After" in headers
    assert set(json.loads(body)) == {"error"}


@pytest.mark.parametrize("path", ["/recognize", "/predict/digits"])
def test_what_the_queue_refused_a_moment_ago_is_not_read(path: str, admission: Admission) -> None:
    status, headers, body = ask(admission, PATH_INFO=path)
    assert status == "503 Service Unavailable"
    assert headers["Retry-After"] == "3"
    assert json.loads(body)["type"] == "urn:batchpoint:problem:queue-full"


@pytest.mark.parametrize(
    "environ",
    [
        {"PATH_INFO": "/predict", "HTTP_X_REQUEST_TIMEOUT_MS": "28000"},
        {"PATH_INFO": "/predict/tags", "QUERY_STRING": "x=1&timeout_ms=28000&y=2"},
        {"PATH_INFO": "/v1/models/tags/versions/1:predict"},
        {"PATH_INFO": "/v1/models/tags/labels/stable:classify"},
        {"PATH_INFO": "/v2/models/tags/versions/1/infer"},
        {"PATH_INFO": "/predict/other"},
        {"PATH_INFO": "/predict/none"},
        {"PATH_INFO": "/readyz"},
        {"PATH_INFO": "/predict", "REQUEST_METHOD": "OPTIONS"},
    ],
)
def test_what_can_be_answered_in_time_or_is_no_prediction_passes(
    admission: Admission, environ: dict[str, str]
) -> None:
    assert ask(admission, **environ)[0] == "200 OK"


@pytest.mark.parametrize("named", ["soon", "9" * 5000, "\u0663\u0660\u0660\u0660\u0660", "-1", ""])
def test_an_unreadable_deadline_is_the_usual_one(admission: Admission, named: str) -> None:
    status, _, _ = ask(admission, PATH_INFO="/predict", HTTP_X_REQUEST_TIMEOUT_MS=named)
    assert status.startswith("503")
