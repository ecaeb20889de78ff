"""Who is let in, by a clock that is turned by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import pytest

from shared.settings import Settings
from web.admission import Admission
from web.gate import Gate
from web.tickets import ClientLeftError, DeadlineError


class Crowd:
    """Requests in hand of one gate, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.gate = Gate(lambda: self.now)
        self._stacks: list[ExitStack] = []

    def come(self, count: int) -> None:
        for _ in range(count):
            stack = ExitStack()
            stack.enter_context(self.gate.in_hand())
            self._stacks.append(stack)

    def answer(self, count: int, seconds: float) -> None:
        """Let the first `count` be answered, evenly over some time."""
        for _ in range(count):
            self.now += seconds / count
            self._stacks.pop(0).close()


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


def test_a_crowd_is_let_in_until_the_rate_is_known(crowd: Crowd) -> None:
    crowd.come(1000)
    assert crowd.gate.excess_s(0.001) <= 0


def test_who_would_wait_past_the_deadline_is_refused_by_the_measured_rate(crowd: Crowd) -> None:
    crowd.come(1000)
    crowd.answer(100, 1)  # 100 a second, so 900 take 9 s
    assert crowd.gate.excess_s(5) == pytest.approx(9 - 0.5 * 5, abs=0.4)
    assert crowd.gate.excess_s(20) < 0


def test_one_client_after_the_other_is_never_refused(crowd: Crowd) -> None:
    for _ in range(100):
        crowd.now += 30  # one answer in half a minute is no rate
        crowd.come(1)
        crowd.answer(1, 0.02)
        assert crowd.gate.excess_s(0.02) <= 0


def test_after_quiet_times_a_crowd_is_let_in_again(crowd: Crowd) -> None:
    crowd.come(1000)
    crowd.answer(1000, 10)
    crowd.now += 1
    crowd.come(1000)
    assert crowd.gate.excess_s(5) <= 0


def test_a_stand_still_is_not_taken_for_slowness(crowd: Crowd) -> None:
    crowd.come(110)
    for _ in range(3):
        for _ in range(20):
            crowd.now += 0.3
            assert crowd.gate.excess_s(5) <= 0
        for _ in range(30):
            crowd.answer(1, 0.01)
            assert crowd.gate.excess_s(5) <= 0


def test_an_engine_that_needs_seconds_is_measured_too(crowd: Crowd) -> None:
    crowd.come(30)
    crowd.answer(5, 10)  # one every two seconds, so 25 take 50 s
    assert crowd.gate.excess_s(40) > 0
    assert crowd.gate.excess_s(120) < 0


@pytest.mark.parametrize(
    ("error", "counts"),
    [(ValueError(), True), (DeadlineError(), False), (ClientLeftError(), False)],
)
def test_a_failure_is_an_answer_unless_the_request_was_given_up(
    crowd: Crowd, error: Exception, counts: bool
) -> None:
    crowd.come(100)
    for _ in range(60):
        crowd.now += 0.01
        with pytest.raises(type(error)), crowd.gate.in_hand():
            raise error
    crowd.answer(3, 0.3)
    crowd.answer(3, 0.3)
    assert (crowd.gate.excess_s(5) > 0) != counts


def ask(admission: Admission, **environ: str) -> tuple[str, dict[str, str], bytes]:
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        seen.extend([status, dict(headers)])

    body = b"".join(admission({"REQUEST_METHOD": "POST", **environ}, start_response))
    return seen[0], seen[1], body


@pytest.fixture
def admission(crowd: Crowd) -> Admission:
    """One whose model `tags` has 10 s of work ahead."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"answer"]

    crowd.come(1100)
    crowd.answer(100, 1)
    return Admission(app, Settings(), {"tags": crowd.gate, "other": Gate()}.get)


def test_a_refusal_is_a_problem_and_says_when_to_come_again(admission: Admission) -> None:
    status, headers, body = ask(admission, PATH_INFO="/predict")
    assert status == "503 Service Unavailable"
    assert headers["Content-Type"] == "application/problem+json"
    assert 5 <= int(headers["Retry-After"]) <= 8
    problem = json.loads(body)
    assert problem["type"] == "urn:batchpoint:problem:overloaded"
    assert problem["request_id"] == headers["X-Request-Id"]


@pytest.mark.parametrize(
    "environ",
    [
        {"PATH_INFO": "/predict", "HTTP_X_REQUEST_TIMEOUT_MS": "28000"},
        {"PATH_INFO": "/predict/tags", "QUERY_STRING": "x=1&timeout_ms=28000&y=2"},
        {"PATH_INFO": "/predict", "HTTP_PREFER": "respond-async"},
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
